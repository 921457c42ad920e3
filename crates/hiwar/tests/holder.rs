//! A company holds credentials: it asks for them, takes them in, and shows them to whom it chooses.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a story stops where it cannot go on"
)]

mod newcomer;

use std::net::SocketAddr;

use hiwar_claims::issuance::delivery::DELIVERY_BYTES_MAX;
use hiwar_claims::issuance::metadata::{self, CredentialObject};
use hiwar_claims::issuance::state::rejected_message;
use hiwar_claims::query::{self, Scope};
use hiwar_claims::token::Claims;
use hiwar_claims::{held::Outline, jws};
use hiwar_trust::did::Did;
use newcomer::authority::{Authority, KIND};
use newcomer::{Newcomer, Serving, request, two_free_ports, until};
use serde_json::{Value, json};

struct Company {
    person: Newcomer,
    node: Option<Serving>,
    did: Did,
    at: SocketAddr,
}

impl Company {
    /// A company that takes offers of `authority`. `more` are further lines of its table `[claims]`.
    fn new(authority: &Authority, more: &str) -> Self {
        let person = Newcomer::new();
        let at = format!("127.0.0.1:{}", two_free_ports());
        let url = format!("http://{at}");
        person.hiwar(&["init", "node", "--name", "C", "--listen", &at, "--url", &url, "--behind-proxy"]).ok();
        let path = person.path("node").join("hiwar.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let did = text.lines().find_map(|l| l.strip_prefix("did = \"")?.strip_suffix('"')).unwrap();
        let did = did.parse().unwrap();
        let claims = format!(
            "\n[outbound]\nallow = [\"http://127.0.0.1\"]\n\n[claims]\npresent = [\"{KIND}\", \"Other\"]\n\
             plain_loopback = true\n{more}\n[claims.accept]\n{KIND} = [\"{}\"]\n",
            authority.did
        );
        std::fs::write(&path, text + &claims).unwrap();
        let node = Some(person.serve("node"));
        Self { person, node, did, at: at.parse().unwrap() }
    }

    fn claims(&self, args: &[&str]) -> newcomer::Done {
        let all: Vec<&str> = ["claims"].into_iter().chain(args.iter().copied()).collect();
        self.person.at("node", &all)
    }

    /// Asks for a membership credential; our name for the request.
    fn asks(&self, authority: &Authority) -> String {
        self.claims(&["request", authority.did.as_str(), KIND]).ok().word()
    }

    fn requests(&self) -> Vec<Value> {
        self.claims(&["requests", "--format", "json"]).ok().json()["requests"].as_array().unwrap().clone()
    }

    fn list(&self, what: &str) -> Vec<Value> {
        self.claims(&["list", "--format", "json"]).ok().json()[what].as_array().unwrap().clone()
    }

    fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, String) {
        request(self.at, "POST", &format!("/dcp/1.0{path}"), token, body.to_string().as_bytes())
    }

    /// Delivers with a fresh token.
    fn gets(&self, authority: &Authority, delivery: &Value) -> u16 {
        let token = authority.token(self.did.as_str(), |_| {});
        self.post("/credentials", Some(&token), delivery).0
    }

    fn kill_and_start(&mut self) {
        self.node.take().unwrap().kill();
        self.node = Some(self.person.serve("node"));
    }
}

#[test]
fn a_credential_that_was_asked_for_is_kept_before_it_is_acknowledged_and_survives_a_kill() {
    let authority = Authority::new();
    let mut company = Company::new(&authority, "");
    let pid = company.asks(&authority);
    assert_eq!(authority.asked.lock().unwrap()[0]["holderPid"], pid.as_str());
    assert_eq!(company.requests()[0]["state"], "received");
    let delivery = authority.delivery(&pid, &[authority.credential(&company.did, 600)]);
    assert_eq!(company.gets(&authority, &delivery), 200);
    company.kill_and_start();
    assert_eq!(company.requests()[0]["state"], "issued");
    let held = company.list("credentials");
    assert_eq!((held.len(), &held[0]["holds"], &held[0]["shown"]), (1, &json!(true), &json!(true)));
    // Its acknowledgement may have been lost: the very same delivery is acknowledged again, another is not.
    assert_eq!(company.gets(&authority, &delivery), 200);
    let another = authority.delivery(&pid, &[authority.credential(&company.did, 600)]);
    assert_eq!(company.gets(&authority, &another), 409);
    assert_eq!(company.list("credentials").len(), 1);
}

#[test]
fn a_node_killed_between_writing_a_credential_and_closing_its_request_takes_the_delivery_again() {
    let authority = Authority::new();
    let mut company = Company::new(&authority, "");
    let pid = company.asks(&authority);
    let path = company.person.path("node").join("claims/requests").join(format!("{pid}.json"));
    let open = std::fs::read(&path).unwrap();
    let delivery = authority.delivery(&pid, &[authority.credential(&company.did, 600)]);
    assert_eq!(company.gets(&authority, &delivery), 200);
    // What the folder holds when the credential is in its place and the request is not closed yet, with a
    // part of the next file that the kill cut off.
    company.node.take().unwrap().kill();
    std::fs::write(&path, &open).unwrap();
    std::fs::write(path.with_extension("part"), &open[..open.len() / 2]).unwrap();
    company.node = Some(company.person.serve("node"));
    assert_eq!(company.requests()[0]["state"], "received");
    assert_eq!(company.gets(&authority, &delivery), 200);
    assert_eq!(company.requests()[0]["state"], "issued");
    assert_eq!(company.list("credentials").len(), 1);
}

#[test]
fn a_rejection_is_kept_with_its_reason() {
    let authority = Authority::new();
    let mut company = Company::new(&authority, "");
    let pid = company.asks(&authority);
    let rejected = rejected_message("issuer-1", Some(&pid), Some("not a member"));
    assert_eq!(company.gets(&authority, &rejected), 200);
    company.kill_and_start();
    company.claims(&["requests"]).ok().shows(&["rejected", "not a member"]);
    let late = authority.delivery(&pid, &[authority.credential(&company.did, 600)]);
    assert_eq!(company.gets(&authority, &late), 409);
}

#[test]
fn each_delivery_that_is_wrong_is_refused_and_leaves_nothing_behind() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let company = Company::new(&authority, "");
    let pid = company.asks(&authority);
    let me = company.did.as_str();
    let good = authority.delivery(&pid, &[authority.credential(&company.did, 600)]);
    let with = |token: &str| company.post("/credentials", Some(token), &good).0;
    assert_eq!(company.post("/credentials", None, &good).0, 401);
    assert_eq!(with("nonsense"), 401);
    // The token: for another, expired, made in the future, for somebody else, of somebody never asked.
    let spoil: [fn(&mut Claims); 4] = [
        |c| c.aud = "did:web:other.example".into(),
        |c| (c.iat, c.exp) = (c.iat - 600, c.iat - 300),
        |c| (c.iat, c.exp) = (c.iat + 600, c.iat + 900),
        |c| c.sub = "did:web:other.example".parse().unwrap(),
    ];
    for change in spoil {
        assert_eq!(with(&authority.token(me, change)), 401);
    }
    assert_eq!(with(&stranger.token(me, |_| {})), 401);
    // Somebody whom we asked too does not answer for another.
    company.asks(&stranger);
    assert_eq!(with(&stranger.token(me, |_| {})), 404);
    // The credential: unknown request, another's, ended, of another issuer, another format, not asked for.
    let other: Did = "did:web:other.example".parse().unwrap();
    let made = authority.credential(&company.did, 600);
    let delivery = |change: fn(&mut Value)| {
        let mut delivery = authority.delivery(&pid, std::slice::from_ref(&made));
        change(&mut delivery);
        delivery
    };
    assert_eq!(company.gets(&authority, &authority.delivery("unknown", std::slice::from_ref(&made))), 404);
    for wrong in [
        authority.delivery(&pid, &[authority.credential(&other, 600)]),
        authority.delivery(&pid, &[authority.credential(&company.did, -60)]),
        authority.delivery(&pid, &[stranger.credential(&company.did, 600)]),
        delivery(|d| d["credentials"][0]["format"] = json!("vc11-sl2021/jwt")),
        delivery(|d| d["credentials"][0]["credentialType"] = json!("Other")),
        delivery(|d| d["status"] = json!("DONE")),
        delivery(|d| d["holderPid"] = Value::Null),
    ] {
        assert_eq!(company.gets(&authority, &wrong), 400, "{wrong}");
    }
    // What nobody asked for is taken from `authority` only, and only of the type that it is named for.
    let mut unasked = authority.delivery(&pid, &[stranger.credential(&company.did, 600)]);
    unasked.as_object_mut().unwrap().remove("holderPid");
    assert_eq!(company.gets(&stranger, &unasked), 404);
    assert_eq!(company.gets(&authority, &unasked), 400);
    unasked["credentials"][0]["credentialType"] = json!("Other");
    assert_eq!(company.gets(&authority, &unasked), 404);
    let large = json!("x".repeat(DELIVERY_BYTES_MAX));
    let token = authority.token(me, |_| {});
    assert_eq!(company.post("/credentials", Some(&token), &large).0, 413);
    assert_eq!(company.list("credentials"), Vec::<Value>::new());
    // The request is still open, and a token is good once.
    let token = authority.token(me, |_| {});
    assert_eq!((with(&token), with(&token)), (200, 401));
}

fn offer(authority: &Authority, kind: &str) -> Value {
    let object = CredentialObject {
        id: "urn:membership".into(),
        kind: kind.into(),
        profile: "vc20-bssl/jwt".into(),
        schema: String::new(),
    };
    metadata::offer_message(&authority.did, &[object], "issuance")
}

#[test]
fn offers_of_issuers_named_in_the_configuration_wait_for_a_person_and_others_are_refused() {
    let (authority, stranger) = (Authority::new(), Authority::new());
    let mut company = Company::new(&authority, "");
    let me = company.did.as_str().to_owned();
    let from =
        |who: &Authority, offer: &Value| company.post("/offers", Some(&who.token(&me, |_| {})), offer).0;
    assert_eq!(from(&stranger, &offer(&stranger, KIND)), 401);
    assert_eq!(from(&authority, &offer(&stranger, KIND)), 400);
    assert_eq!(from(&authority, &offer(&authority, "Other")), 403);
    let token = authority.token(&me, |_| {});
    let once = || company.post("/offers", Some(&token), &offer(&authority, KIND)).0;
    assert_eq!((once(), once()), (200, 401));
    company.kill_and_start();
    assert_eq!(company.list("offers")[0]["issuer"], authority.did.as_str());
    company.claims(&["list"]).ok().shows(&["OFFERED", KIND]);
    assert!(authority.asked.lock().unwrap().is_empty());
}

#[test]
fn an_offered_credential_that_the_configuration_wants_is_asked_for_at_once() {
    let authority = Authority::new();
    let company = Company::new(&authority, &format!("ask = [\"{KIND}\"]"));
    let token = authority.token(company.did.as_str(), |_| {});
    let sparse = json!({
        "type": "CredentialOfferMessage", "issuer": authority.did, "credentials": [{ "id": "urn:membership" }],
    });
    assert_eq!(company.post("/offers", Some(&token), &sparse).0, 200);
    until("the request", || !authority.asked.lock().unwrap().is_empty());
    until("its note", || company.requests().first().is_some_and(|r| r["state"] == "received"));
}

#[test]
fn what_an_issuer_does_not_offer_is_not_asked_for_and_it_is_said_what_it_offers() {
    let authority = Authority::new();
    let company = Company::new(&authority, "");
    company
        .claims(&["request", authority.did.as_str(), "Nothing"])
        .refused(&["does not offer \"Nothing\"", "MembershipCredential (vc20-bssl/jwt)"]);
    assert_eq!(company.requests(), Vec::<Value>::new());
}

#[test]
fn a_credential_from_a_file_is_kept_if_it_is_about_us_and_its_issuer_signed_it() {
    let authority = Authority::new();
    let company = Company::new(&authority, "");
    let file = company.person.path("membership.jwt");
    let import = |jwt: &str| {
        std::fs::write(&file, jwt).unwrap();
        company.claims(&["import", file.to_str().unwrap()])
    };
    import(&authority.credential(&"did:web:other.example".parse().unwrap(), 600).jwt).refused(&["subject"]);
    import("nonsense").refused(&["token"]);
    import(&authority.credential(&company.did, 600).jwt).ok();
    assert_eq!(company.list("credentials").len(), 1);
}

#[test]
fn a_token_is_given_to_clients_that_show_a_secret_and_shows_no_more_than_its_scopes() {
    let authority = Authority::new();
    let company = Company::new(&authority, "token_desks = [\"export\"]");
    let dir = company.person.path("node");
    let secret = std::fs::read_to_string(dir.join("api.token")).unwrap();
    let get = |client: &str, secret: &str, more: &str| {
        let form = format!(
            "grant_type=client_credentials&client_id={client}&client_secret={secret}&audience={}{more}",
            authority.did.as_str().replace('%', "%25").replace(':', "%3A")
        );
        let at = company.node.as_ref().unwrap().api;
        let (status, text) = request(at, "POST", "/api/v1/claims/token", None, form.as_bytes());
        (status, serde_json::from_str::<Value>(&text).unwrap())
    };
    assert_eq!(get("operator", "wrong", "").0, 401);
    assert_eq!(get("operator", "", "").1["error"], "invalid_client");
    assert_eq!(get("export", secret.trim(), "").0, 401);
    let scope = |kind: &str| format!("&bearer_access_scope={}", Scope::of_type(kind));
    assert_eq!(get("operator", secret.trim(), &scope("Secret")).1["error"], "invalid_scope");

    let pid = company.asks(&authority);
    let delivery = authority.delivery(&pid, &[authority.credential(&company.did, 600)]);
    assert_eq!(company.gets(&authority, &delivery), 200);
    let query = query::message(&[Scope::of_type(KIND), Scope::of_type("Other")]);
    let shown = |granted: &str| {
        let (status, answer) = get("operator", secret.trim(), &scope(granted));
        assert_eq!(status, 200, "{answer}");
        let made = answer["access_token"].as_str().unwrap();
        let access = jws::read(made, 65536).unwrap().claims()["token"].as_str().unwrap().to_owned();
        let token = authority.token(company.did.as_str(), |c| c.token = Some(access));
        let (status, text) = company.post("/presentations/query", Some(&token), &query);
        assert_eq!(status, 200, "{text}");
        let presentation = query::read_response(text.as_bytes()).unwrap().remove(0);
        let claims = jws::read(&presentation, 262_144).unwrap().claims().clone();
        let all = claims["verifiableCredential"].as_array().unwrap().clone();
        let jwt = |v: &Value| v["id"].as_str().unwrap().split_once(',').unwrap().1.to_owned();
        all.iter().map(|v| Outline::of(&jwt(v)).unwrap().types).collect::<Vec<_>>()
    };
    assert_eq!(shown(KIND), [[KIND]]);
    assert_eq!(shown("Other"), Vec::<Vec<String>>::new());
    // Without scopes there is no access token inside.
    let bare = get("operator", secret.trim(), "").1;
    assert!(
        !jws::read(bare["access_token"].as_str().unwrap(), 65536).unwrap().claims().contains_key("token")
    );
}
