use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::header::LOCATION;
use axum::routing::get;

use super::*;

/// A name whose addresses change each time it is asked for, as an attacker's server makes them.
struct Changing {
    answers: Vec<&'static str>,
    asked: AtomicUsize,
}

impl Lookup for Changing {
    fn addresses(&self, _: String) -> Pin<Box<dyn Future<Output = std::io::Result<Vec<IpAddr>>> + Send>> {
        let at = self.asked.fetch_add(1, Ordering::SeqCst).min(self.answers.len() - 1);
        let found = self.answers[at].split(' ').map(|text| text.parse().unwrap()).collect();
        Box::pin(async move { Ok(found) })
    }
}

fn rule(allow: &[&str]) -> AddressRule {
    AddressRule { allow: allow.iter().map(|text| text.parse().unwrap()).collect() }
}

/// A server that says `inside` and counts who comes.
async fn server() -> (u16, Arc<AtomicUsize>) {
    let visits = Arc::new(AtomicUsize::new(0));
    let counted = visits.clone();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let routes = Router::new()
        .route("/inside", get(|| async { "inside" }))
        .route(
            "/leads-on",
            get(async move || {
                (http::StatusCode::FOUND, [(LOCATION, format!("http://127.0.0.1:{port}/inside"))])
            }),
        )
        .layer(axum::middleware::map_request(move |request: axum::extract::Request| {
            counted.fetch_add(1, Ordering::SeqCst);
            std::future::ready(request)
        }));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (port, visits)
}

#[tokio::test]
async fn a_name_that_leads_to_this_machine_is_refused_when_the_connection_is_made() {
    let (port, visits) = server().await;
    let url: Url = format!("https://localhost:{port}/inside").parse().unwrap();
    let outbound = Outbound::new(AddressRule::default(), None);
    let client = outbound.client_for(Target::Stranger(&url)).unwrap();
    let error = client.get(url.clone()).send().await.unwrap_err();
    let refused = failure(&url, &error);
    assert!(matches!(refused, OutboundError::Refused(Refused::Address { .. })), "{refused}");
    assert!(refused.to_string().contains("loopback address"), "{refused}");
    assert!(refused.to_string().contains(&format!("\"localhost:{port}\"")), "{refused}");
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_name_that_is_public_when_checked_and_private_when_used_is_refused() {
    let (port, visits) = server().await;
    let url: Url = format!("https://rebinding.example:{port}/inside").parse().unwrap();
    let lookup = Arc::new(Changing { answers: vec!["8.8.8.8", "127.0.0.1 ::1"], asked: AtomicUsize::new(0) });
    let outbound = Outbound::with_lookup(AddressRule::default(), None, lookup.clone());
    outbound.examine(&url).await.unwrap();
    let refused = outbound.get(Target::Stranger(&url), 100).await.unwrap_err();
    assert!(matches!(refused, OutboundError::Refused(Refused::Address { .. })), "{refused}");
    assert_eq!(lookup.asked.load(Ordering::SeqCst), 2);
    assert_eq!(visits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn of_several_addresses_only_the_admitted_ones_are_used() {
    let guard = |allow: &[&str]| Guard {
        rule: Arc::new(rule(allow)),
        origin: Origin::of(&"https://mixed.example/".parse().unwrap()).unwrap(),
        lookup: Arc::new(System),
    };
    let found = || ["10.0.0.1", "8.8.8.8"].map(|text| text.parse().unwrap()).to_vec();
    let admitted = guard(&[]).admitted(found()).unwrap();
    assert_eq!(admitted, ["8.8.8.8:0".parse().unwrap()]);
    assert_eq!(guard(&["10.0.0.0/8"]).admitted(found()).unwrap().len(), 2);
}

#[tokio::test]
async fn an_allowed_address_is_reached_and_the_client_is_kept() {
    let (port, visits) = server().await;
    let outbound = Outbound::new(rule(&["http://127.0.0.1"]), None);
    let url: Url = format!("http://127.0.0.1:{port}/inside").parse().unwrap();
    for _ in 0..2 {
        assert_eq!(outbound.get(Target::Stranger(&url), 6).await.unwrap(), b"inside");
    }
    assert_eq!(visits.load(Ordering::SeqCst), 2);
    assert_eq!(outbound.clients.lock().unwrap().len(), 1);
    let large = outbound.get(Target::Stranger(&url), 5).await.unwrap_err();
    assert!(matches!(large, OutboundError::TooLarge { limit: 5, .. }), "{large}");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (port, visits) = server().await;
    let outbound = Outbound::new(rule(&["http://127.0.0.1"]), None);
    let url: Url = format!("http://127.0.0.1:{port}/leads-on").parse().unwrap();
    let error = outbound.get(Target::Stranger(&url), 100).await.unwrap_err();
    assert!(error.to_string().contains("302"), "{error}");
    assert_eq!(visits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_pinned_peer_is_reached_at_its_cards_address_and_nowhere_else() {
    let (port, _) = server().await;
    let outbound = Outbound::new(AddressRule::default(), None);
    let endpoint = format!("http://127.0.0.1:{port}");
    let url: Url = format!("{endpoint}/inside").parse().unwrap();
    let pinned = Target::Pinned { url: &url, endpoint: &endpoint, pin: None };
    assert_eq!(outbound.get(pinned, 100).await.unwrap(), b"inside");
    for other in [format!("http://127.0.0.1:{}/inside", port ^ 1), format!("http://localhost:{port}/inside")]
    {
        let other: Url = other.parse().unwrap();
        let pinned = Target::Pinned { url: &other, endpoint: &endpoint, pin: None };
        assert!(matches!(
            outbound.client_for(pinned),
            Err(OutboundError::Refused(Refused::OtherOrigin { .. }))
        ));
    }
    let far: Url = "http://peer.example/x".parse().unwrap();
    let plain = Target::Pinned { url: &far, endpoint: "http://peer.example", pin: None };
    assert!(matches!(outbound.client_for(plain), Err(OutboundError::Refused(Refused::Form { .. }))));
}

#[tokio::test]
async fn clients_that_were_not_used_for_longest_are_dropped() {
    let outbound = Outbound::new(AddressRule::default(), None);
    for host in 0..CLIENTS_MAX + 5 {
        let url: Url = format!("https://h{host}.example/").parse().unwrap();
        outbound.client_for(Target::Stranger(&url)).unwrap();
    }
    let clients = outbound.clients.lock().unwrap();
    assert_eq!(clients.len(), CLIENTS_MAX);
    assert!(!clients.iter().any(|(used, _)| *used == Use::Stranger("https://h0.example:443".into())));
}
