//! A turn with questions and answers: answers that came are checked and filed, questions of the peer
//! are answered once, and the own question is asked once.

use std::collections::BTreeSet;

use anyhow::ensure;
use hiwar_radar::corroborate::psi::HELLO;
use hiwar_radar::corroborate::{
    ANSWERS, Answers, CorroborationError, Digest, Message as _, QUESTION, Question, answer, check_answers,
};
use serde_json::json;

use super::Desk;
use super::correspondence::{Letter, Read};
use super::show::{Leaving, Turn, short};

impl Desk<'_> {
    pub(super) async fn talk(&self, turn: &mut Turn) -> anyhow::Result<()> {
        let asked: Vec<Read<'_, Question>> = self.letters.own().await?;
        self.take_answers(turn, &asked).await?;
        self.answer_questions(turn).await?;
        self.ask(turn, &asked).await?;
        let offers = self.letters.by(&self.letters.peer, HELLO).len();
        if offers > 0 {
            turn.notes.push(format!("the peer has offered {offers} intersections; see them with --psi"));
        }
        Ok(())
    }

    /// Says that an entry is not taken: aloud the first time.
    pub(super) fn refuse(&self, turn: &mut Turn, letter: &Letter, why: String) -> anyhow::Result<()> {
        let before = self.kept.has("refused", &letter.entry);
        if !before {
            self.kept.put("refused", &letter.entry, &json!({ "entry": letter.entry, "why": why }))?;
        }
        turn.refused.push((letter.entry.clone(), why, before));
        Ok(())
    }

    pub(super) fn not_here_yet(turn: &mut Turn, letter: &Letter) {
        turn.notes.push(format!("the file of entry {} has not come yet", short(&letter.entry)));
    }

    /// Files what has come, once it was shown.
    pub(super) fn file(&self, turn: &Turn) -> anyhow::Result<()> {
        for came in &turn.came {
            let kept = json!({
                "entry": came.entry, "time": came.time, "dialogue": self.letters.dialogue,
                "peer": self.letters.peer, "answers": came.answers,
            });
            self.kept.put("answers", &came.entry, &kept)?;
        }
        Ok(())
    }

    async fn take_answers(&self, turn: &mut Turn, asked: &[Read<'_, Question>]) -> anyhow::Result<()> {
        let mut filed = 0_usize;
        for letter in self.letters.by(&self.letters.peer, ANSWERS) {
            if self.kept.has("answers", &letter.entry) {
                filed += 1;
                continue;
            }
            match self.letters.read::<Answers>(letter).await? {
                None => Self::not_here_yet(turn, letter),
                Some(Err(why)) => self.refuse(turn, letter, why)?,
                Some(Ok(read)) => match self.check(asked, &read.message) {
                    Err(why) => self.refuse(turn, letter, why.to_string())?,
                    Ok(()) => turn.came(letter, read.message),
                },
            }
        }
        if filed > 0 {
            turn.notes.push(format!("{filed} answers were filed before"));
        }
        Ok(())
    }

    fn check(&self, asked: &[Read<'_, Question>], answers: &Answers) -> anyhow::Result<()> {
        let question = asked.iter().find(|q| q.digest == answers.to);
        let question = question.ok_or(CorroborationError::OtherQuestion { to: answers.to })?;
        check_answers(&question.message, question.digest, answers)?;
        if let Some(economy) = &self.args.peer_economy {
            ensure!(
                *answers.answerer == **economy,
                "it answers as {}, but the peer speaks for {economy}",
                answers.answerer
            );
        }
        Ok(())
    }

    async fn answer_questions(&self, turn: &mut Turn) -> anyhow::Result<()> {
        let given: Vec<Read<'_, Answers>> = self.letters.own().await?;
        let mut answered: BTreeSet<Digest> = given.iter().map(|a| a.message.to).collect();
        for letter in self.letters.by(&self.letters.peer, QUESTION) {
            let read = match self.letters.read::<Question>(letter).await? {
                None => {
                    Self::not_here_yet(turn, letter);
                    continue;
                }
                Some(Err(why)) => {
                    self.refuse(turn, letter, why)?;
                    continue;
                }
                Some(Ok(read)) => read,
            };
            // The same question in two entries is one question.
            if !answered.insert(read.digest) {
                continue;
            }
            if let Err(why) = self.answer_one(turn, letter, &read).await? {
                self.refuse(turn, letter, why)?;
            }
        }
        Ok(())
    }

    async fn answer_one(
        &self,
        turn: &mut Turn,
        letter: &Letter,
        read: &Read<'_, Question>,
    ) -> anyhow::Result<Result<(), String>> {
        let question = &read.message;
        let asker = &question.asker;
        match &self.args.peer_economy {
            Some(economy) if **economy != **asker => {
                return Ok(Err(format!("it asks as {asker}, but the peer speaks for {economy}")));
            }
            None => {
                // Whoever asks as another economy would learn about exports to that one.
                let when = format!("when the peer speaks for {asker}, answer with --peer-economy {asker}");
                let entry = short(&letter.entry);
                if self.args.send {
                    turn.problems.push(format!("the question in entry {entry} asks as {asker}: {when}"));
                    return Ok(Ok(()));
                }
                turn.notes.push(format!("the question in entry {entry} asks as {asker}: {when}"));
            }
            Some(_) => {}
        }
        let months = match question.months() {
            Ok(months) => months,
            Err(why) => return Ok(Err(why.to_string())),
        };
        let record = &self.record;
        let told = answer(question, read.digest, &record.economy, record.as_of, &record.sight(&months))?;
        let what = format!("Answers to the question of {} in entry {}", letter.time, short(&letter.entry));
        let words = format!(
            "The radar of {} answers the question about {} alarms in entry {}: for each, whether it sees the same \
             as an importer (joint) or as the exporter (mirror), nothing out of line (contrast), or cannot tell. No \
             amounts are told. A desk has to judge what it means.",
            record.economy,
            question.claims.len(),
            letter.entry
        );
        let leaving = Leaving::of(what, words, "corroboration-answers.json", &told);
        self.leaves(turn, leaving).await?;
        Ok(Ok(()))
    }

    async fn ask(&self, turn: &mut Turn, asked: &[Read<'_, Question>]) -> anyhow::Result<()> {
        if self.args.month.is_empty() {
            return Ok(());
        }
        let question = self.record.sight(&self.args.month).question(&self.record.economy);
        // What this side would not answer, it does not ask.
        question.months()?;
        question.check()?;
        if question.is_empty() {
            turn.notes.push("no import alarms in these months: there is nothing to ask".to_owned());
            return Ok(());
        }
        let digest = Digest::of(&question.bytes());
        if let Some(before) = asked.iter().find(|q| q.digest == digest) {
            turn.notes.push(format!("the same was asked in entry {} before", short(&before.letter.entry)));
            return Ok(());
        }
        let what = format!("Question about {} alarms", question.claims.len());
        let words = format!(
            "The radar of {} sees {} imports out of line and asks whether the other side sees the same. The file \
             names exporter, item, month, direction and class of strength of each, and no amounts. A desk has to \
             judge what it means.",
            question.asker,
            question.claims.len()
        );
        self.leaves(turn, Leaving::of(what, words, "corroboration-question.json", &question)).await?;
        Ok(())
    }
}
