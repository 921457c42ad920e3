//! A turn of a private set intersection: an offer of the peer gets a reply, a reply to an own offer
//! ends the exchange for this side and is closed for the other, and a close ends it for both.

use anyhow::Context as _;
use hiwar_radar::corroborate::psi::{CLOSE, Close, HELLO, Hello, REPLY, Reply};
use hiwar_radar::corroborate::{Digest, Message, QUESTION, Subject};

use super::Desk;
use super::correspondence::{Letter, Read};
use super::kept::{Found, Secret, forget};
use super::show::{Leaving, Turn, short};

/// What the peer has sent of a kind.
type Came<'a, M> = Vec<Read<'a, M>>;

impl Desk<'_> {
    pub(super) async fn intersect(&self, turn: &mut Turn) -> anyhow::Result<()> {
        let offered: Came<'_, Hello> = self.letters.own().await?;
        let open = self.close_own(turn, &offered).await?;
        let under_way = self.reply_to_peer(turn).await?;
        if open || under_way {
            turn.notes
                .push("an intersection is under way; a new one is offered when it has ended".to_owned());
        } else {
            self.offer(turn, &offered).await?;
        }
        let questions = self.letters.by(&self.letters.peer, QUESTION).len();
        if questions > 0 {
            turn.notes.push(format!("the peer has asked {questions} questions; see them without --psi"));
        }
        Ok(())
    }

    /// Messages of the peer that can be read; the others are refused, or have not come yet.
    async fn came<M: Message>(&self, turn: &mut Turn, kind: &str) -> anyhow::Result<Came<'_, M>> {
        let mut came = Vec::new();
        for letter in self.letters.by(&self.letters.peer, kind) {
            match self.letters.read(letter).await? {
                None => Self::not_here_yet(turn, letter),
                Some(Err(why)) => self.refuse(turn, letter, why)?,
                Some(Ok(read)) => came.push(read),
            }
        }
        Ok(came)
    }

    /// Keeps what was found, shows it, and deletes the secret.
    fn found(
        &self,
        turn: &mut Turn,
        offer: &Read<'_, Hello>,
        compared: Vec<Subject>,
        both_see: Vec<Subject>,
        secret: &std::path::Path,
    ) -> anyhow::Result<()> {
        let found = Found {
            dialogue: self.letters.dialogue.clone(),
            peer: self.letters.peer.clone(),
            offer: offer.letter.entry.clone(),
            compared,
            both_see,
        };
        self.kept.put("found", &offer.letter.entry, &found)?;
        turn.both_see.push((found.offer, found.both_see));
        forget(secret)
    }

    /// Closes own offers that were replied to. Whether one has not ended.
    async fn close_own(&self, turn: &mut Turn, offered: &[Read<'_, Hello>]) -> anyhow::Result<bool> {
        let replies: Came<'_, Reply> = self.came(turn, REPLY).await?;
        let closed: Vec<Read<'_, Close>> = self.letters.own().await?;
        for reply in replies.iter().filter(|r| offered.iter().all(|o| o.digest != r.message.to)) {
            self.refuse(
                turn,
                reply.letter,
                format!("it replies to {}, which was not offered", reply.message.to),
            )?;
        }
        let mut under_way = false;
        for offer in offered {
            let path = self.kept.offer(&self.letters.dialogue, offer.digest);
            let Some(reply) = replies.iter().find(|r| r.message.to == offer.digest) else {
                under_way |= path.exists();
                if path.exists() {
                    let entry = short(&offer.letter.entry);
                    turn.notes.push(format!(
                        "the offer in entry {entry} waits for its reply; to break it off, delete {}",
                        path.display()
                    ));
                }
                continue;
            };
            let sent = closed.iter().any(|c| c.message.to == reply.digest);
            if !path.exists() {
                // Ended, or broken off: the secret is gone.
                continue;
            }
            let secret = Secret::read(&path)?;
            let (both, close) = match secret.side()?.close(&reply.message, reply.digest) {
                Ok(done) => done,
                Err(why) => {
                    self.refuse(turn, reply.letter, why.to_string())?;
                    continue;
                }
            };
            let sent = sent || self.close_one(turn, offer, reply.letter, &reply.message, &close).await?;
            if sent {
                self.found(turn, offer, secret.subjects, both, &path)?;
            } else {
                under_way = true;
            }
        }
        Ok(under_way)
    }

    async fn close_one(
        &self,
        turn: &mut Turn,
        offer: &Read<'_, Hello>,
        letter: &Letter,
        reply: &Reply,
        close: &Close,
    ) -> anyhow::Result<bool> {
        let what = format!(
            "Close of the intersection offered in entry {} ({} subjects against {})",
            short(&offer.letter.entry),
            offer.message.mine.len(),
            reply.mine.len()
        );
        let words = format!(
            "Third message of the private set intersection offered in entry {}, in answer to entry {}: with it \
             the other side learns what both see, too.",
            offer.letter.entry, letter.entry
        );
        let sent = self.leaves(turn, Leaving::of(what, words, "corroboration-close.json", close)).await?;
        if sent.is_none() {
            turn.notes.push(
                "what both see is shown when the close is sent: the other side then knows it too".into(),
            );
        }
        Ok(sent.is_some())
    }

    /// Replies to offers of the peer, and learns from its closes. Whether one is under way.
    async fn reply_to_peer(&self, turn: &mut Turn) -> anyhow::Result<bool> {
        let offers: Came<'_, Hello> = self.came(turn, HELLO).await?;
        let closes: Came<'_, Close> = self.came(turn, CLOSE).await?;
        let replied: Vec<Read<'_, Reply>> = self.letters.own().await?;
        for close in closes.iter().filter(|c| replied.iter().all(|r| r.digest != c.message.to)) {
            self.refuse(turn, close.letter, format!("it closes {}, which was not sent", close.message.to))?;
        }
        let mut under_way = false;
        for offer in &offers {
            let path = self.kept.reply(&self.letters.dialogue, offer.digest);
            let Some(reply) = replied.iter().find(|r| r.message.to == offer.digest) else {
                under_way |= self.reply_one(turn, offer, &path).await?;
                continue;
            };
            if !path.exists() {
                continue;
            }
            let Some(close) = closes.iter().find(|c| c.message.to == reply.digest) else {
                under_way = true;
                let entry = short(&reply.letter.entry);
                turn.notes.push(format!(
                    "the reply in entry {entry} waits for its close; to break it off, delete {}",
                    path.display()
                ));
                continue;
            };
            let secret = Secret::read(&path)?;
            match secret.side()?.learn(&reply.message, &close.message) {
                Ok(both) => self.found(turn, offer, secret.subjects, both, &path)?,
                Err(why) => self.refuse(turn, close.letter, why.to_string())?,
            }
        }
        Ok(under_way)
    }

    /// Makes the reply to an offer, the same as was shown before when nothing has changed.
    async fn reply_one(
        &self,
        turn: &mut Turn,
        offer: &Read<'_, Hello>,
        path: &std::path::Path,
    ) -> anyhow::Result<bool> {
        let entry = short(&offer.letter.entry);
        if self.args.month.is_empty() {
            turn.notes.push(format!("entry {entry} offers an intersection; reply by naming --month"));
            return Ok(true);
        }
        let subjects = self.subjects();
        let before = if path.exists() { Some(Secret::read(path)?) } else { None };
        let mut secret = match before {
            Some(secret) if secret.subjects == subjects => secret,
            _ => Secret::fresh(subjects)?,
        };
        let reply = match secret.side()?.reply(&offer.message, offer.digest) {
            Ok(reply) => reply,
            Err(why) => {
                self.refuse(turn, offer.letter, why.to_string())?;
                return Ok(false);
            }
        };
        secret.reply = Some(reply);
        // Kept before it leaves: without the secret the close could not be read.
        secret.write(path)?;
        let reply = secret.reply.as_ref().context("the reply was just made")?;
        let what = format!(
            "Reply to the intersection offered in entry {entry} ({} subjects against {})",
            reply.mine.len(),
            offer.message.mine.len()
        );
        let words = format!(
            "Second message of the private set intersection offered in entry {}: both sides learn which alarms \
             both see, and of the others only how many they are.",
            offer.letter.entry
        );
        self.leaves(turn, Leaving::of(what, words, "corroboration-reply.json", reply)).await?;
        Ok(true)
    }

    /// What is compared: import alarms, and alarms of exports to the peer when its economy is known.
    fn subjects(&self) -> Vec<Subject> {
        self.record.sight(&self.args.month).subjects(self.args.peer_economy.as_deref())
    }

    async fn offer(&self, turn: &mut Turn, offered: &[Read<'_, Hello>]) -> anyhow::Result<()> {
        if self.args.month.is_empty() {
            return Ok(());
        }
        let subjects = self.subjects();
        if subjects.is_empty() {
            turn.notes.push("no alarms in these months: there is nothing to compare".to_owned());
            return Ok(());
        }
        let (dialogue, peer) = (&self.letters.dialogue, &self.letters.peer);
        let same = |f: &Found| f.dialogue == *dialogue && f.peer == *peer && f.compared == subjects;
        if let Some(before) = self.kept.found()?.iter().find(|f| same(f)) {
            let entry = short(&before.offer);
            turn.notes.push(format!("the same alarms were compared by the offer in entry {entry} before"));
            return Ok(());
        }
        // What was shown before and not sent is sent as it was shown, unless something has changed.
        let mut secret = None;
        for (path, before) in self.kept.offers(dialogue)? {
            let digest = Digest::of(&before.side()?.hello().bytes());
            if offered.iter().any(|o| o.digest == digest) {
                continue;
            }
            if before.subjects == subjects { secret = Some(before) } else { forget(&path)? }
        }
        let secret = match secret {
            Some(secret) => secret,
            None => Secret::fresh(subjects)?,
        };
        let hello = secret.side()?.hello();
        secret.write(&self.kept.offer(dialogue, Digest::of(&hello.bytes())))?;
        let what = format!("Offer of an intersection ({} subjects)", hello.mine.len());
        let words = format!(
            "First message of a private set intersection: the radar of {} offers to learn together which alarms \
             both sides see, and of the others only how many they are. The points in the file tell nothing by \
             themselves.",
            self.record.economy
        );
        self.leaves(turn, Leaving::of(what, words, "corroboration-offer.json", &hello)).await?;
        Ok(())
    }
}
