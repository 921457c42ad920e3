//! A ministry runs a dataspace: it issues membership credentials, and takes them back.

#![allow(
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a story stops where it cannot go on"
)]

mod newcomer;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::Ordering;

use hiwar_claims::credential;
use hiwar_claims::did::{DidDocument, Relationship};
use hiwar_claims::issuance::metadata;
use hiwar_claims::p256::P256Key;
use hiwar_claims::{schema, status, token};
use hiwar_trust::did::Did;
use hiwar_trust::time::Timestamp;
use newcomer::company::{Company, now_ms};
use newcomer::served::header;
use newcomer::{Done, Newcomer, Serving, two_free_ports, until};
use serde_json::{Value, json};

const VC20: &str = "did#MembershipCredential-vc20";

/// The ministry, and who types its commands.
struct Ministry {
    person: Newcomer,
    node: Option<Serving>,
    did: Did,
    at: SocketAddr,
}

impl Ministry {
    /// A running issuer; `rules` are the lines of its type MembershipCredential.
    fn new(rules: &str) -> Self {
        let person = Newcomer::new();
        let (did, at) = make_node(&person, "ministry");
        let text = format!(
            "\n[outbound]\nallow = [\"http://127.0.0.1\"]\n\n[claims]\nrequired = [\"MembershipCredential\"]\n\
             plain_loopback = true\n\n[claims.issuers]\nMembershipCredential = [\"{did}\"]\n\n\
             [claims.issuer.types.MembershipCredential]\n{rules}\n"
        );
        configure(&person, "ministry", &text);
        let node = Some(person.serve("ministry"));
        Self { person, node, did, at }
    }

    fn claims(&self, args: &[&str]) -> Done {
        let all: Vec<&str> = ["claims"].into_iter().chain(args.iter().copied()).collect();
        self.person.at("ministry", &all)
    }

    fn kill_and_start(&mut self) {
        self.node.take().unwrap().kill();
        self.node = Some(self.person.serve("ministry"));
    }

    fn issuances(&self) -> Vec<Value> {
        let all = self.claims(&["issuances", "--format", "json"]).ok().json();
        all["issuances"].as_array().unwrap().clone()
    }

    fn document(&self) -> DidDocument {
        let (_, body) = http(self.at, "GET", "/.well-known/did.json", &[], b"");
        DidDocument::read(body.as_bytes(), &self.did).unwrap()
    }

    /// Asks with a token; the status and the whole head of the answer.
    fn ask(&self, bearer: &str, body: &Value) -> (u16, String) {
        let authorization = format!("Bearer {bearer}");
        let (head, _) = self.post("/dcp/1.0/issuer/credentials", &[("Authorization", &authorization)], body);
        (code(&head), head)
    }

    fn post(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> (String, String) {
        http(self.at, "POST", path, headers, body.to_string().as_bytes())
    }

    fn wanted(&self) -> Value {
        let id = VC20.replace("did", self.did.as_str());
        json!({
            "@context": ["https://w3id.org/dspace-dcp/v1.0/dcp.jsonld"], "type": "CredentialRequestMessage",
            "holderPid": "of-the-holder", "credentials": [{ "id": id }],
        })
    }

    fn status(&self, place: &str, bearer: &str) -> (u16, Value) {
        let path = place.split_once("/dcp/").map(|(_, rest)| format!("/dcp/{rest}")).unwrap();
        let authorization = format!("Bearer {bearer}");
        let (head, body) = http(self.at, "GET", &path, &[("Authorization", &authorization)], b"");
        (code(&head), serde_json::from_str(&body).unwrap_or(Value::Null))
    }
}

fn make_node(person: &Newcomer, name: &str) -> (Did, SocketAddr) {
    let at = format!("127.0.0.1:{}", two_free_ports());
    let url = format!("http://{at}");
    person.hiwar(&["init", name, "--name", name, "--listen", &at, "--url", &url, "--behind-proxy"]).ok();
    let config = std::fs::read_to_string(person.path(name).join("hiwar.toml")).unwrap();
    let did = config.lines().find_map(|l| l.strip_prefix("did = \"")?.strip_suffix('"')).unwrap();
    (did.parse().unwrap(), at.parse().unwrap())
}

fn configure(person: &Newcomer, name: &str, more: &str) {
    let path = person.path(name).join("hiwar.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text + more).unwrap();
}

fn http(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> (String, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.set_read_timeout(Some(newcomer::LIMIT)).unwrap();
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n");
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len()));
    stream.write_all(head.as_bytes()).unwrap();
    // A node that refuses a large body may answer and close before it has read all of it.
    drop(stream.write_all(body));
    let mut answer = Vec::new();
    drop(stream.read_to_end(&mut answer));
    let text = String::from_utf8_lossy(&answer).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    (head.to_owned(), body.to_owned())
}

fn code(head: &str) -> u16 {
    head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
}

fn now() -> Timestamp {
    Timestamp::from_millis(now_ms())
}

#[test]
fn a_member_gets_in_with_its_credential_and_not_any_more_after_it_was_revoked() {
    let mut ministry = Ministry::new("days = 30\nclaims = { dataspace = \"HF\" }");
    let person = &ministry.person;
    let (member, _) = make_node(person, "member");
    configure(
        person,
        "member",
        "\n[outbound]\nallow = [\"http://127.0.0.1\"]\n\n[claims]\npresent = [\"MembershipCredential\"]\nplain_loopback = true\n",
    );
    let node = person.serve("member");
    let address = format!("http://{}", ministry.at);
    let look = |ministry: &Ministry| {
        ministry.person.at("member", &["data", "catalog", ministry.did.as_str(), "--address", &address])
    };
    look(&ministry).refused(&["MembershipCredential"]);
    let issued = ministry.claims(&[
        "issue",
        member.as_str(),
        "MembershipCredential",
        "--claim",
        "level=full",
        "-o",
        "member.jwt",
    ]);
    issued.ok().shows(&["MembershipCredential issued", member.as_str()]);
    std::fs::create_dir_all(person.path("member/claims")).unwrap();
    std::fs::copy(person.path("member.jwt"), person.path("member/claims/membership.jwt")).unwrap();
    look(&ministry).ok();
    // It is in no other hands: only its owner can read the file.
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &std::fs::metadata(person.path("member.jwt")).unwrap().permissions(),
    );
    assert_eq!(mode & 0o077, 0);

    let listed = ministry.claims(&["issued", "--format", "json"]).ok().json();
    let id = listed["issued"][0]["id"].as_str().unwrap().to_owned();
    let short = id.strip_prefix("urn:uuid:").unwrap().get(..8).unwrap().to_owned();
    ministry.claims(&["revoke", &short, "--reason", "left"]).ok().shows(&["revoked", &id]);
    // Whoever was let in is let in until the ministry looks again; a node that starts makes a new token.
    node.kill();
    let _node = ministry.person.serve("member");
    look(&ministry).refused(&["revocation"]);
    ministry.kill_and_start();
    look(&ministry).refused(&["revocation"]);
    ministry.claims(&["issued"]).ok().shows(&[member.as_str(), "(left)"]);
}

#[test]
fn who_asks_waits_for_a_person_and_then_gets_a_credential_that_holds() {
    let ministry = Ministry::new("claims = { dataspace = \"HF\" }");
    let company = Company::new();
    let (head, body) = http(ministry.at, "GET", "/dcp/1.0/issuer/metadata", &[], b"");
    assert_eq!(code(&head), 200);
    let offered = metadata::read(body.as_bytes(), &ministry.did).unwrap();
    assert_eq!(offered.len(), 2, "one for each profile");
    let service = ministry.document().service("IssuerService").unwrap().to_owned();
    assert_eq!(service, format!("http://{}/dcp/1.0/issuer", ministry.at));

    let me = ministry.did.as_str();
    let bearer = company.token(me, |claims| claims.token = Some("write-here".into()));
    let (status_code, head) = ministry.ask(&bearer, &ministry.wanted());
    assert_eq!(status_code, 201, "{head}");
    let place = header(&head, "location").unwrap();
    assert!(place.starts_with(&format!("{service}/requests/")), "{place}");
    let (known, said) = ministry.status(&place, &company.token(me, |_| {}));
    assert_eq!(
        (known, &said["status"], &said["holderPid"]),
        (200, &json!("RECEIVED"), &json!("of-the-holder"))
    );
    // To everybody else it is as if there were no such request.
    let other = Company::new();
    assert_eq!(ministry.status(&place, &other.token(me, |_| {})).0, 404);
    assert!(company.messages().is_empty());

    let waiting = ministry.issuances();
    assert_eq!((waiting.len(), &waiting[0]["state"]), (1, &json!("waiting")));
    let id = waiting[0]["id"].as_str().unwrap();
    ministry.claims(&["approve", &id[..8], "--claim", "level=full", "--until", "2099-12-31"]).ok();
    until("the credential is there", || !company.messages().is_empty());
    let (path, authorization, message) = company.messages().remove(0);
    assert_eq!(path, "/dcp/credentials");
    assert_eq!((&message["holderPid"], &message["issuerPid"]), (&json!("of-the-holder"), &json!(id)));
    let document = ministry.document();
    let keys = document.keys(Relationship::CapabilityInvocation).unwrap();
    let shown = authorization.strip_prefix("Bearer ").unwrap();
    let shown = token::verify(shown, &keys, company.did.as_str(), now(), 5).unwrap();
    assert_eq!(shown.token.as_deref(), Some("write-here"), "DCP 1.0, section 6.1, step 7");
    let jwt = message["credentials"][0]["payload"].as_str().unwrap();
    let keys = document.keys(Relationship::AssertionMethod).unwrap();
    let read = credential::verify(jwt, &keys, Some(&company.did), now(), 5).unwrap();
    assert_eq!(read.types, ["MembershipCredential"]);
    let subject = read.subjects.first().unwrap();
    assert_eq!((&subject["level"], &subject["dataspace"]), (&json!("full"), &json!("HF")));
    let (_, rules) = http(ministry.at, "GET", "/dcp/1.0/issuer/schemas/MembershipCredential", &[], b"");
    let rules: Value = serde_json::from_str(&rules).unwrap();
    schema::check(&Value::Object(subject.clone()), &rules).unwrap();
    schema::check(&json!({ "id": company.did }), &rules).unwrap_err();
    // To the end of the day: 2100-01-01T00:00:00Z.
    assert_eq!(read.valid_until, Some(4_102_444_800));
    until("the status is known", || {
        ministry.status(&place, &company.token(me, |_| {})).1["status"] == "ISSUED"
    });
    ministry.claims(&["approve", &id[..8]]).refused(&["was decided"]);
}

#[test]
fn an_invited_peer_gets_its_credential_at_once_and_a_retired_one_waits_like_a_stranger() {
    let ministry = Ministry::new("automatic = [\"peers\"]");
    let person = &ministry.person;
    let (member, _) = make_node(person, "member");
    configure(person, "member", "\n[claims]\npresent = [\"MembershipCredential\"]\nplain_loopback = true\n");
    let _node = person.serve("member");
    let key = P256Key::from_pkcs8(&std::fs::read(person.path("member/keys/claims.key")).unwrap()).unwrap();
    let ask = |name: &str| {
        let claims = token::Claims::new(&member, ministry.did.as_str(), name.into(), now(), 60);
        let bearer = key.sign(&claims, "JWT", &format!("{member}#claims")).unwrap();
        assert_eq!(ministry.ask(&bearer, &ministry.wanted()).0, 201);
        ministry.issuances()[0]["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(ask("1"), "waiting");
    let invitation = person.typed_into(&["invitation", "--node", "member"], "member.invitation");
    let words = newcomer::ministries::fingerprint(&invitation.err);
    ministry
        .person
        .hiwar(&["peer", "add", "member.invitation", "--node", "ministry", "--fingerprint", &words])
        .ok();
    assert_eq!(ask("2"), "issued");
    ministry.person.hiwar(&["peer", "retire", member.as_str(), "--node", "ministry"]).ok();
    assert_eq!(ask("3"), "waiting");
}

#[test]
fn what_an_operator_types_wrong_is_refused_and_issues_nothing() {
    let ministry = Ministry::new("");
    let holder = "did:web:member.example";
    let issue = |more: &[&str]| {
        ministry.claims(&[&["issue", holder, "MembershipCredential", "-o", "x.jwt"], more].concat())
    };
    ministry.claims(&["issue", "member", "MembershipCredential"]).refused(&["holder"]);
    ministry
        .claims(&["issue", holder, "Other"])
        .refused(&["Other is not issued here", "MembershipCredential"]);
    issue(&["--until", "tomorrow"]).refused(&["2027-01-31"]);
    issue(&["--until", "2020-01-31"]).refused(&["before it begins"]);
    issue(&["--claim", "id=did:web:other.example"]).refused(&["id, which is the holder"]);
    issue(&["--profile", "jwt"]).refused(&["vc20-bssl/jwt"]);
    issue(&["--claim", &format!("x={}", "y".repeat(70_000))]).refused(&["at most 65536"]);
    issue(&["--claim", "level"]).ends_with(2);
    assert!(!ministry.person.path("x.jwt").exists(), "no empty file stays");
    ministry.claims(&["revoke", "00"]).refused(&["no credential"]);
    ministry.claims(&["approve", "00"]).refused(&["no request"]);
    assert!(ministry.issuances().is_empty());
    let none =
        newcomer::api(&ministry.person.path("ministry"), "POST", "/api/v1/claims/issued/x/revoke", b"{}");
    assert_eq!(none.0, 404, "{}", none.1);
}

#[test]
fn who_is_refused_is_told_so_with_the_reason() {
    let ministry = Ministry::new("");
    let company = Company::new();
    let (status, _) = ministry.ask(&company.token(ministry.did.as_str(), |_| {}), &ministry.wanted());
    assert_eq!(status, 201);
    let id = ministry.issuances()[0]["id"].as_str().unwrap().to_owned();
    ministry.claims(&["refuse", &id, "--reason", "not a member"]).ok();
    until("the company knows", || !company.messages().is_empty());
    let (_, _, message) = company.messages().remove(0);
    assert_eq!(
        (&message["status"], &message["rejectionReason"]),
        (&json!("REJECTED"), &json!("not a member"))
    );
    assert!(
        ministry.claims(&["issued", "--format", "json"]).ok().json()["issued"].as_array().unwrap().is_empty()
    );
}

#[test]
fn a_request_that_is_not_right_is_refused_and_leaves_nothing() {
    let mut ministry = Ministry::new("");
    let (company, other) = (Company::new(), Company::new());
    let me = ministry.did.as_str().to_owned();
    let wanted = ministry.wanted();
    let long_ago = now_ms() / 1000 - 1000;
    for (what, bearer) in [
        ("meant for another", company.token(other.did.as_str(), |_| {})),
        ("ended", company.token(&me, |c| (c.iat, c.exp) = (long_ago, long_ago + 10))),
        ("of the future", company.token(&me, |c| (c.iat, c.exp) = (c.iat + 600, c.exp + 600))),
        ("not to be used yet", company.token(&me, |c| c.nbf = Some(c.iat + 600))),
        ("about another", company.token(&me, |c| c.sub = other.did.clone())),
        // Signed by the company, but in the name of the other.
        ("of another", company.token(&me, |c| (c.iss, c.sub) = (other.did.clone(), other.did.clone()))),
        ("without a name", company.token(&me, |c| c.jti.clear())),
        ("no token", "x".into()),
    ] {
        let (status, head) = ministry.ask(&bearer, &wanted);
        assert_eq!(status, 401, "{what}: {head}");
    }
    let (head, _) = ministry.post("/dcp/1.0/issuer/credentials", &[], &wanted);
    assert_eq!(code(&head), 401);
    let mut not_offered = wanted.clone();
    not_offered["credentials"] = json!([{ "id": "urn:other" }]);
    assert_eq!(ministry.ask(&company.token(&me, |_| {}), &not_offered).0, 400);
    assert_eq!(ministry.ask(&company.token(&me, |_| {}), &json!({})).0, 400);
    let large = json!({ "x": "x".repeat(40 * 1024) });
    assert_eq!(ministry.ask(&company.token(&me, |_| {}), &large).0, 413);
    assert!(ministry.issuances().is_empty());

    // The very same token is good once, also over a restart.
    let bearer = company.token(&me, |_| {});
    assert_eq!(ministry.ask(&bearer, &wanted).0, 201);
    assert_eq!(ministry.ask(&bearer, &wanted).0, 401);
    ministry.kill_and_start();
    assert_eq!(ministry.ask(&bearer, &wanted).0, 401);
    assert_eq!(ministry.issuances().len(), 1);
    // Sixteen of one company wait for a person, no more.
    let answers: Vec<u16> = (0..17).map(|_| ministry.ask(&company.token(&me, |_| {}), &wanted).0).collect();
    assert_eq!(answers.iter().filter(|status| **status == 201).count(), 15);
    assert_eq!(answers.last(), Some(&429));
    assert_eq!(ministry.ask(&other.token(&me, |_| {}), &wanted).0, 201, "others are not kept out");
}

#[test]
fn what_was_acknowledged_is_delivered_although_the_node_was_killed_before() {
    let company = Company::new();
    company.closed.store(true, Ordering::Relaxed);
    let mut ministry = Ministry::new(&format!("automatic = [\"{}\"]", company.did));
    let (status, _) = ministry.ask(&company.token(ministry.did.as_str(), |_| {}), &ministry.wanted());
    assert_eq!(status, 201);
    ministry.kill_and_start();
    let before = ministry.claims(&["issued", "--format", "json"]).ok().json();
    assert_eq!(before["issued"].as_array().map(Vec::len), Some(1), "{before}");
    assert!(company.messages().is_empty());
    ministry.kill_and_start();
    company.closed.store(false, Ordering::Relaxed);
    until("the credential is there", || !company.messages().is_empty());
    let (_, _, message) = company.messages().remove(0);
    let jwt = message["credentials"][0]["payload"].as_str().unwrap();
    let keys = ministry.document().keys(Relationship::AssertionMethod).unwrap();
    credential::verify(jwt, &keys, Some(&company.did), now(), 5).unwrap();
    until("the ministry knows", || ministry.issuances()[0]["delivery"]["state"] == "delivered");
    let after = ministry.claims(&["issued", "--format", "json"]).ok().json();
    assert_eq!(after, before, "nothing was made twice");
}

#[test]
fn nothing_is_sent_to_an_address_that_the_rule_forbids() {
    // Allowed is 127.0.0.1 only, and the document leads elsewhere.
    let company = Company::with_service(|at| format!("http://127.0.0.2:{}/dcp", at.port()));
    let ministry = Ministry::new(&format!("automatic = [\"{}\"]", company.did));
    let (status, _) = ministry.ask(&company.token(ministry.did.as_str(), |_| {}), &ministry.wanted());
    assert_eq!(status, 201);
    until("it is given up", || ministry.issuances()[0]["delivery"]["state"] == "given-up");
    let problem = ministry.issuances()[0]["delivery"]["problem"].as_str().unwrap().to_owned();
    assert!(problem.contains("127.0.0.2"), "{problem}");
    let refused = ministry.claims(&["offer", company.did.as_str(), "MembershipCredential"]);
    refused.refused(&["127.0.0.2"]);
    assert!(company.messages().is_empty());
}

#[test]
fn an_offer_names_the_credential_that_a_holder_may_ask_for() {
    let ministry = Ministry::new("");
    let company = Company::new();
    ministry.claims(&["offer", company.did.as_str(), "MembershipCredential"]).ok();
    let (path, _, message) = company.messages().remove(0);
    assert_eq!((path.as_str(), &message["type"]), ("/dcp/offers", &json!("CredentialOfferMessage")));
    assert_eq!(message["credentials"][0]["id"], VC20.replace("did", ministry.did.as_str()));
    ministry.claims(&["offer", company.did.as_str(), "Other"]).refused(&["Other is not issued here"]);
}

#[test]
fn the_status_list_is_public_may_be_kept_and_changes_with_the_first_revocation() {
    let mut ministry = Ministry::new("");
    let company = Company::new();
    let issued = ministry.claims(&["issue", company.did.as_str(), "MembershipCredential", "-o", "a.jwt"]);
    issued.ok();
    // A file that is there is not overwritten, and then nothing is issued.
    let again = ministry.claims(&["issue", company.did.as_str(), "MembershipCredential", "-o", "a.jwt"]);
    again.refused(&["a.jwt cannot be made"]);
    let jwt = std::fs::read_to_string(ministry.person.path("a.jwt")).unwrap();
    let keys = ministry.document().keys(Relationship::AssertionMethod).unwrap();
    let read = credential::verify(jwt.trim(), &keys, Some(&company.did), now(), 5).unwrap();
    let entry = read.status.first().unwrap();
    let path = entry.list.split_once(&ministry.at.to_string()).unwrap().1.to_owned();
    let (head, list) = http(ministry.at, "GET", &path, &[], b"");
    assert_eq!(code(&head), 200);
    assert_eq!(header(&head, "cache-control").unwrap(), "public, max-age=300");
    status::check(entry, &ministry.did, &list, &keys, now(), 5).unwrap();
    let tag = header(&head, "etag").unwrap();
    let (unchanged, _) = http(ministry.at, "GET", &path, &[("If-None-Match", &tag)], b"");
    assert_eq!(code(&unchanged), 304);

    let all = ministry.claims(&["issued", "--format", "json"]).ok().json();
    assert_eq!(all["issued"].as_array().map(Vec::len), Some(1));
    ministry.claims(&["revoke", all["issued"][0]["id"].as_str().unwrap()]).ok();
    let (head, list) = http(ministry.at, "GET", &path, &[("If-None-Match", &tag)], b"");
    assert_eq!(code(&head), 200, "whoever asks after the revocation gets the new list");
    status::check(entry, &ministry.did, &list, &keys, now(), 5).unwrap_err();
    ministry.kill_and_start();
    let (_, list) = http(ministry.at, "GET", &path, &[], b"");
    status::check(entry, &ministry.did, &list, &keys, now(), 5).unwrap_err();
    for none in ["/dcp/1.0/issuer/status/999", "/dcp/1.0/issuer/status/x", "/dcp/1.0/issuer/schemas/Other"] {
        assert_eq!(code(&http(ministry.at, "GET", none, &[], b"").0), 404);
    }
}
