//! Two ministries, each with its node, in one folder.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Done, Newcomer, Serving, two_free_ports, until};

/// Two ministries whose nodes run, and neither knows the other.
pub(crate) struct Ministries {
    pub(crate) person: Newcomer,
    pub(crate) motie: Option<Serving>,
    pub(crate) meti: Option<Serving>,
    pub(crate) motie_did: String,
    pub(crate) meti_did: String,
    pub(crate) meti_words: String,
}

pub(crate) fn fingerprint(told: &str) -> String {
    told.lines().find_map(|l| l.strip_prefix("Fingerprint:")).unwrap().trim().to_owned()
}

impl Ministries {
    pub(crate) fn started() -> Self {
        Self::made(false)
    }

    /// With `outbound_only`, motie's node accepts no connection.
    fn made(outbound_only: bool) -> Self {
        let person = Newcomer::new();
        let (a, b) = (two_free_ports(), two_free_ports());
        let listen = |port: u16| format!("127.0.0.1:{port}");
        let did = |port: u16| format!("did:web:127.0.0.1%3A{port}");
        let place = if outbound_only {
            vec!["--outbound-only".to_owned(), "--did".into(), did(a), "--api".into(), listen(a + 1)]
        } else {
            vec!["--listen".to_owned(), listen(a)]
        };
        let mut init = vec!["init", "motie", "--name", "Ministry A"];
        init.extend(place.iter().map(String::as_str));
        let made = person.typed_into(&init, "motie.invitation");
        assert!(
            made.err.contains(&format!("Made the node motie for Ministry A ({})", did(a))),
            "{}",
            made.err
        );
        let connect = made.err.contains(&format!("Peers connect to https://127.0.0.1:{a}"));
        assert_eq!(connect, !outbound_only, "{}", made.err);
        assert!(made.err.contains("Move motie/keys/recovery.key to a safe place"), "{}", made.err);
        let made = person
            .typed_into(&["init", "meti", "--name", "Ministry B", "--listen", &listen(b)], "meti.invitation");
        let meti_words = fingerprint(&made.err);
        let (motie, meti) = (Some(person.serve("motie")), Some(person.serve("meti")));
        Self { person, motie, meti, motie_did: did(a), meti_did: did(b), meti_words }
    }

    pub(crate) fn introduced() -> Self {
        let both = Self::started();
        both.introduce();
        both
    }

    /// Each side adds the other: one gives the fingerprint, the other answers the question.
    fn introduce(&self) {
        let both = self;
        let added = both
            .person
            .hiwar(&["peer", "add", "meti.invitation", "--node", "motie", "--fingerprint", &both.meti_words])
            .ok();
        assert!(added.err.contains(&format!("Added Ministry B ({})", both.meti_did)), "{}", added.err);
        let added =
            both.person.answering(&["peer", "add", "motie.invitation", "--node", "meti"], "yes\n").ok();
        assert!(added.err.contains("Compare the words with the peer by another way"), "{}", added.err);
        assert!(added.err.contains(&format!("Added Ministry A ({})", both.motie_did)), "{}", added.err);
    }

    /// A dialogue that both have assented to.
    pub(crate) fn talking() -> (Self, String) {
        let both = Self::introduced();
        let dialogue = both.agree();
        (both, dialogue)
    }

    /// The same, but motie's node accepts no connection.
    pub(crate) fn talking_outbound_only() -> (Self, String) {
        let both = Self::made(true);
        both.introduce();
        let dialogue = both.agree();
        (both, dialogue)
    }

    fn agree(&self) -> String {
        let both = self;
        let dialogue = both.open();
        both.motie(&["dialogue", "say", &dialogue, "--text", "en=too early"])
            .refused(&["not open yet", &both.meti_did]);
        both.wait_for_dialogue("meti", 1);
        both.meti(&["dialogue", "assent", &dialogue]).ok();
        until("the assent to arrive", || both.motie(&["dialogue", "list"]).ok().out.contains("  open  "));
        dialogue
    }

    pub(crate) fn open(&self) -> String {
        let opened = self
            .motie(&[
                "dialogue",
                "open",
                "--title",
                "en=Hydrogen fluoride",
                "--with",
                &self.meti_did,
                "--arrangement",
                "Director-level dialogue",
            ])
            .ok();
        assert_eq!(opened.word().len(), 64, "{opened:?}");
        opened.word()
    }

    /// motie offers a table under terms; returns the dataset.
    pub(crate) fn offered(&self, terms: &str, content: &str) -> String {
        let file = |name: &str, text: &str| {
            let path = self.person.path(name);
            std::fs::write(&path, text).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let (table, terms) = (file("table.csv", content), file("terms.json", terms));
        self.motie(&["data", "offer", &table, "--terms", &terms, "--title", "A table"]).ok().word()
    }

    pub(crate) fn motie(&self, args: &[&str]) -> Done {
        self.person.at("motie", args)
    }

    pub(crate) fn meti(&self, args: &[&str]) -> Done {
        self.person.at("meti", args)
    }

    pub(crate) fn wait_for_dialogue(&self, node: &str, count: usize) {
        until("the dialogue to arrive", || {
            let listed = self.person.at(node, &["dialogue", "list", "--format", "json"]).ok().json();
            listed["dialogues"].as_array().unwrap().len() == count
        });
    }

    /// Waits until the entry is on the node and returns it.
    pub(crate) fn arrived(&self, node: &str, dialogue: &str, entry: &str) -> Value {
        let mut found = Value::Null;
        until("an entry to arrive", || {
            found = self.entry(node, dialogue, entry);
            !found.is_null()
        });
        found
    }

    pub(crate) fn entry(&self, node: &str, dialogue: &str, entry: &str) -> Value {
        let shown = self.person.at(node, &["dialogue", "show", dialogue, "--format", "json"]).ok().json();
        let entries = shown["entries"].as_array().unwrap();
        entries.iter().find(|e| e["entry"]["id"] == entry).cloned().unwrap_or_default()
    }

    pub(crate) fn wait_known(&self, dialogue: &str, entry: &str) {
        until("the peer's receipt", || {
            !self.entry("motie", dialogue, entry)["known_by"].as_array().unwrap().is_empty()
        });
    }

    pub(crate) fn stop(&mut self) {
        for node in [self.motie.take(), self.meti.take()] {
            assert_eq!(node.unwrap().stop(), 0, "a node that is told to stop ends with 0");
        }
    }

    /// Says something on a node; returns the entry's identifier.
    #[track_caller]
    pub(crate) fn say(&self, node: &str, dialogue: &str, text: &str) -> String {
        self.person.at(node, &["dialogue", "say", dialogue, "--text", &format!("en={text}")]).ok().word()
    }

    /// A member of a node's status.
    #[track_caller]
    pub(crate) fn status(&self, node: &str, member: &str) -> Value {
        self.person.at(node, &["status", "--format", "json"]).ok().json()[member].take()
    }

    /// The codes of a node's alarms, oldest first.
    #[track_caller]
    pub(crate) fn alarms(&self, node: &str) -> Vec<String> {
        let alarms = self.person.at(node, &["alarms", "--format", "json"]).ok().json();
        let codes = alarms["alarms"].as_array().unwrap().iter();
        codes.map(|a| a["alarm"]["code"].as_str().unwrap().to_owned()).collect()
    }

    /// The entries of a dialogue that a node holds.
    #[track_caller]
    pub(crate) fn held(&self, node: &str, dialogue: &str) -> BTreeSet<String> {
        let shown = self.person.at(node, &["dialogue", "show", dialogue, "--format", "json"]).ok().json();
        let entries = shown["entries"].as_array().unwrap().iter();
        entries.map(|e| e["entry"]["id"].as_str().unwrap().to_owned()).collect()
    }

    /// Waits until both hold the same and nothing waits to be delivered.
    #[track_caller]
    pub(crate) fn settle(&self, dialogue: &str) {
        let start = std::time::Instant::now();
        loop {
            let (motie, meti) = (self.held("motie", dialogue), self.held("meti", dialogue));
            let queued = ["motie", "meti"].map(|node| self.status(node, "queued"));
            if motie == meti && queued.iter().all(|n| *n == 0) {
                return;
            }
            assert!(
                start.elapsed() < super::LIMIT,
                "the nodes do not settle: queued {queued:?}\nmotie lacks {:?}\nmeti lacks {:?}\n{}{}",
                meti.difference(&motie),
                motie.difference(&meti),
                self.motie.as_ref().map(Serving::log).unwrap_or_default(),
                self.meti.as_ref().map(Serving::log).unwrap_or_default(),
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    /// `log check` passes on both.
    #[track_caller]
    pub(crate) fn logs_agree(&self) {
        for node in ["motie", "meti"] {
            self.person.hiwar(&["log", "check", node]).ok();
        }
    }

    /// A dossier exported by either side is proved in full, files included.
    #[track_caller]
    pub(crate) fn dossiers_prove_everything(&self, dialogue: &str) {
        for node in ["motie", "meti"] {
            let open = self.not_proved(node, dialogue, |open| open.is_empty());
            assert!(open.is_empty(), "{node}'s dossier leaves open:\n{}", open.join("\n"));
        }
    }

    /// What a node's dossier does not prove. Exports again for a while until `enough`, because the
    /// last receipts and cosignatures may be on their way.
    #[track_caller]
    pub(crate) fn not_proved(
        &self,
        node: &str,
        dialogue: &str,
        enough: impl Fn(&[String]) -> bool,
    ) -> Vec<String> {
        let file = format!("{node}.dossier");
        let start = std::time::Instant::now();
        loop {
            self.person.at(node, &["dossier", "export", dialogue, "-o", &file]).ok();
            let verify = [
                "verify",
                &file,
                "--anchor",
                "motie.invitation",
                "--anchor",
                "meti.invitation",
                "--format",
                "json",
            ];
            let verdict = self.person.hiwar(&verify);
            let claims = verdict.json()["claims"].take();
            let open = claims.as_array().unwrap().iter().filter(|c| c["status"] != "proved");
            let open: Vec<String> = open.map(|c| format!("{} {}", c["statement"], c["status"])).collect();
            assert_eq!(verdict.code == 0, open.is_empty(), "the exit code says whether all is proved");
            if enough(&open) || start.elapsed() > super::LIMIT / 6 {
                return open;
            }
        }
    }

    #[track_caller]
    pub(crate) fn node(&mut self, name: &str) -> &mut Option<Serving> {
        if name == "motie" { &mut self.motie } else { &mut self.meti }
    }

    /// `kill -9`.
    #[track_caller]
    pub(crate) fn kill(&mut self, name: &str) {
        self.node(name).take().unwrap().kill();
    }

    /// Starts a node that was killed or stopped.
    #[track_caller]
    pub(crate) fn start(&mut self, name: &str) {
        let serving = self.person.serve(name);
        *self.node(name) = Some(serving);
    }
}
