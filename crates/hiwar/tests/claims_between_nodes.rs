//! A ministry that issues, a member that holds, and a third node that lets it in: all three are nodes.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a story stops where it cannot go on")]

mod newcomer;

use newcomer::{Newcomer, two_free_ports, until};
use serde_json::Value;

const KIND: &str = "MembershipCredential";

/// Makes a node that is reached by plain HTTP on the loopback interface; returns its identifier and address.
fn made(person: &Newcomer, name: &str) -> (String, String) {
    let at = format!("127.0.0.1:{}", two_free_ports());
    let url = format!("http://{at}");
    person.hiwar(&["init", name, "--name", name, "--listen", &at, "--url", &url, "--behind-proxy"]).ok();
    let config = std::fs::read_to_string(person.path(name).join("hiwar.toml")).unwrap();
    let did = config.lines().find_map(|l| l.strip_prefix("did = \"")?.strip_suffix('"')).unwrap();
    (did.to_owned(), url)
}

fn configured(person: &Newcomer, name: &str, claims: &str) {
    let path = person.path(name).join("hiwar.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let more =
        format!("\n[outbound]\nallow = [\"http://127.0.0.1\"]\n\n[claims]\nplain_loopback = true\n{claims}");
    std::fs::write(&path, text + &more).unwrap();
}

/// The only item of a list that a command shows.
fn only(person: &Newcomer, node: &str, args: &[&str], of: &str) -> Value {
    let args: Vec<&str> = args.iter().copied().chain(["--format", "json"]).collect();
    let shown = person.at(node, &args).ok().json();
    let all = shown[of].as_array().unwrap();
    assert_eq!(all.len(), 1, "{shown}");
    all.first().unwrap().clone()
}

#[test]
fn a_member_asks_the_ministry_a_person_approves_and_a_third_node_lets_it_in_until_it_is_revoked() {
    let person = Newcomer::new();
    let (ministry, _) = made(&person, "ministry");
    let (member, _) = made(&person, "member");
    let (partner, partner_url) = made(&person, "partner");
    configured(&person, "ministry", &format!("[claims.issuer.types.{KIND}]\ndays = 30\n"));
    configured(&person, "member", &format!("present = [\"{KIND}\"]\n"));
    let trusting = format!("required = [\"{KIND}\"]\n[claims.issuers]\n{KIND} = [\"{ministry}\"]\n");
    configured(&person, "partner", &trusting);
    let _serving = ["ministry", "member"].map(|name| person.serve(name));
    let third = person.serve("partner");
    let look = || person.at("member", &["data", "catalog", &partner, "--address", &partner_url]);
    look().refused(&[KIND]);

    person.at("member", &["claims", "request", &ministry, KIND]).ok();
    let asked = only(&person, "ministry", &["claims", "issuances"], "issuances");
    assert_eq!(asked["holder"], member.as_str(), "{asked}");
    person.at("ministry", &["claims", "approve", asked["id"].as_str().unwrap()]).ok();
    until("the credential is at the member", || {
        person.at("member", &["claims", "list"]).ok().out.contains(KIND)
    });
    let request = only(&person, "member", &["claims", "requests"], "requests");
    assert_eq!(request["state"], "issued", "{request}");
    until("the ministry knows that it was delivered", || {
        only(&person, "ministry", &["claims", "issuances"], "issuances")["delivery"]["state"] == "delivered"
    });
    look().ok();

    let issued = only(&person, "ministry", &["claims", "issued"], "issued");
    person.at("ministry", &["claims", "revoke", issued["id"].as_str().unwrap(), "--reason", "left"]).ok();
    // The partner believes what it has seen for five minutes; one that starts anew looks anew.
    third.kill();
    let _third = person.serve("partner");
    look().refused(&["revocation"]);
}

#[test]
fn a_credential_that_nobody_asked_for_is_taken_from_those_that_the_operator_names_only() {
    let person = Newcomer::new();
    let (ministry, _) = made(&person, "ministry");
    let (member, _) = made(&person, "member");
    let (guest, _) = made(&person, "guest");
    let kinds = |kind: &str| format!("[claims.issuer.types.{kind}]\ndays = 30\n");
    configured(&person, "ministry", &format!("{}{}", kinds(KIND), kinds("AuditCredential")));
    let presenting = format!("present = [\"{KIND}\"]\n");
    configured(&person, "member", &format!("{presenting}[claims.accept]\n{KIND} = [\"{ministry}\"]\n"));
    configured(&person, "guest", &presenting);
    let _serving = ["ministry", "member", "guest"].map(|name| person.serve(name));
    let told = || {
        let shown = person.at("ministry", &["claims", "issuances", "--format", "json"]).ok().json();
        let all = shown["issuances"].as_array().unwrap().clone();
        let of = |did: &str, kind: &str| {
            let found = all.iter().find(|i| i["holder"] == did && i["wanted"][0]["type"] == kind);
            found.map(|i| i["delivery"].clone()).unwrap_or_default()
        };
        (of(&member, KIND), of(&member, "AuditCredential"), of(&guest, KIND))
    };
    for (who, kind) in [(&member, KIND), (&member, "AuditCredential"), (&guest, KIND)] {
        person.at("ministry", &["claims", "issue", who, kind]).ok();
    }
    until("each was tried", || {
        let (taken, other, unnamed) = told();
        taken["state"] == "delivered" && other["attempts"] != 0 && unnamed["attempts"] != 0
    });
    let held = person.at("member", &["claims", "list"]).ok().out;
    assert!(held.contains(KIND) && !held.contains("AuditCredential"), "{held}");
    assert!(!person.at("guest", &["claims", "list"]).ok().out.contains(KIND));
    let (_, other, unnamed) = told();
    assert!(other["delivered"].is_null() && unnamed["delivered"].is_null(), "{other} {unnamed}");
}
