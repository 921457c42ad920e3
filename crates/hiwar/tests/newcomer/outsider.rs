//! A participant without a running node: keys and a card, known to a ministry as any peer is.

use std::net::SocketAddr;

use hiwar_dialogue::engine::Keys;
use hiwar_node::config::Tls;
use hiwar_node::folder::{self, NewNode};
use hiwar_trust::did::Did;
use hiwar_trust::identity::Identity;
use hiwar_trust::invitation::Invitation;
use serde_json::{Value, json};

use super::{Ministries, api};

/// The participant, and the invitation of the ministry that knows it.
pub(crate) struct Outsider {
    pub(crate) did: Did,
    pub(crate) keys: Keys,
    pub(crate) invitation: Invitation,
    pub(crate) target: Invitation,
}

impl Outsider {
    /// Makes a participant in the folder `dir` and has the ministry `at` add it.
    pub(crate) fn known_to(
        both: &Ministries,
        at: &str,
        dir: &str,
        name: &str,
        listen: Option<SocketAddr>,
        api_listen: SocketAddr,
    ) -> Self {
        let did: Did = format!("did:web:{dir}.example").parse().unwrap();
        let new = NewNode {
            did: did.clone(),
            name: name.into(),
            listen,
            public_url: None,
            api_listen,
            desks: vec!["desk".into()],
            radar_store: None,
            tls: Tls::BehindProxy,
            connect_from: None,
        };
        let dir = both.person.path(dir);
        let card = folder::make(&dir, &new, None).unwrap();
        let keys = folder::read_keys(&dir, None).unwrap();
        let invitation = Invitation::new(Identity::verify(vec![card]).unwrap());
        let body = json!({
            "invitation": serde_json::from_str::<Value>(&invitation.to_string()).unwrap(),
            "fingerprint": invitation.words(),
        });
        let added = api(&both.person.path(at), "POST", "/api/v1/peers", body.to_string().as_bytes());
        assert_eq!(added.0, 200, "{}", added.1);
        let target = std::fs::read(both.person.path(&format!("{at}.invitation"))).unwrap();
        Self { did, keys, invitation, target: Invitation::parse(&target).unwrap() }
    }
}
