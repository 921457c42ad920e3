//! What of the dataspace belongs into a signed log, as a document and as sentences.
//!
//! The document of an agreement and that of a transfer are the same on both sides, byte for byte in
//! canonical JSON (RFC 8785): two entries with one digest prove that both parties said the same. A
//! deletion is said by the consumer alone.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::ledger::{Contract, Ledger, LedgerError, Note, Transfer};

/// The kind of the document about an agreement.
pub const AGREEMENT: &str = "org.hiwar.agreement.v1";
/// The kind of the document about the end of an agreement.
pub const AGREEMENT_END: &str = "org.hiwar.agreement-end.v1";
/// The kind of the document about a transfer.
pub const TRANSFER: &str = "org.hiwar.transfer.v1";

/// The kind of the document about data that a consumer deleted.
pub const DELETION: &str = "org.hiwar.deletion.v1";

/// A fact for the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The other participant, with whom the fact is shared.
    pub counterparty: String,
    /// The kind of the document.
    pub kind: &'static str,
    /// The fact.
    pub document: Value,
    /// The fact in words, by BCP 47 language tag.
    pub texts: BTreeMap<String, String>,
}

impl Record {
    /// Reads what a note is about. `own` is this participant. There is nothing to say when what it
    /// is about is not kept any more.
    ///
    /// # Errors
    /// When the ledger fails.
    pub fn of(note: &Note, own: &str, ledger: &impl Ledger) -> Result<Option<Self>, LedgerError> {
        Ok(match note {
            Note::Agreed { agreement } => ledger.contract(agreement)?.as_ref().map(Self::agreed),
            Note::Ended { agreement } => ledger.contract(agreement)?.and_then(|c| Self::ended(&c, own)),
            Note::Transferred { transfer } => ledger.transfer(transfer)?.as_ref().map(Self::transferred),
            Note::Deleted { transfer, all } => {
                ledger.transfer(transfer)?.and_then(|t| Self::deleted(&t, own, *all))
            }
        })
    }

    fn agreed(contract: &Contract) -> Self {
        let agreement = &contract.agreement;
        let (id, target) = (&agreement.id, &agreement.target);
        let (provider, consumer) = (&agreement.assigner, &agreement.assignee);
        let texts = texts([
            format!(
                "Agreement {id}: {consumer} may use the dataset {target} of {provider} under the attached terms."
            ),
            format!(
                "계약 {id}: {consumer}은(는) 첨부된 조건에 따라 {provider}의 데이터셋 {target}을(를) 이용할 수 있습니다."
            ),
            format!(
                "契約 {id}:{consumer} は、添付の条件のもとで {provider} のデータセット {target} を利用できます。"
            ),
            format!(
                "الاتفاق {id}: يجوز لـ {consumer} استخدام مجموعة البيانات {target} العائدة إلى {provider} وفق الشروط المرفقة."
            ),
        ]);
        Self {
            counterparty: contract.counterparty.clone(),
            kind: AGREEMENT,
            document: json!({ "kind": AGREEMENT, "agreement": agreement.to_value() }),
            texts,
        }
    }

    fn ended(contract: &Contract, own: &str) -> Option<Self> {
        let ending = contract.ended.as_ref()?;
        let id = &contract.agreement.id;
        let by = if ending.by == contract.role { own } else { &contract.counterparty };
        let reason = ending.why.reasons.join("; ");
        let texts = texts([
            format!("Agreement {id} was ended by {by}: {reason}"),
            format!("계약 {id}을(를) {by}이(가) 종료했습니다: {reason}"),
            format!("契約 {id} は {by} により終了されました:{reason}"),
            format!("أنهى {by} الاتفاق {id}: {reason}"),
        ]);
        let document = json!({
            "kind": AGREEMENT_END,
            "agreement": id,
            "by": by,
            "code": ending.why.code,
            "reasons": ending.why.reasons,
            "at": ending.at,
        });
        Some(Self { counterparty: contract.counterparty.clone(), kind: AGREEMENT_END, document, texts })
    }

    fn transferred(transfer: &Transfer) -> Self {
        let (provider, consumer) = transfer.process.pids();
        let (agreement, dataset) = (&transfer.agreement, &transfer.dataset);
        let mut document = json!({
            "kind": TRANSFER,
            "agreement": agreement,
            "dataset": dataset,
            "providerPid": provider,
            "consumerPid": consumer,
            "format": transfer.format,
        });
        let what = transfer.content.as_ref().map(|content| {
            document["bytes"] = json!(content.bytes);
            document["sha256"] = json!(content.sha256);
            (content.bytes, &content.sha256)
        });
        let texts = texts(match what {
            Some((bytes, sha256)) => [
                format!("Transfer complete under agreement {agreement}: {bytes} bytes, SHA-256 {sha256}."),
                format!("계약 {agreement}에 따른 전송 완료: {bytes}바이트, SHA-256 {sha256}."),
                format!("契約 {agreement} に基づく転送が完了:{bytes} バイト、SHA-256 {sha256}。"),
                format!("اكتمل النقل بموجب الاتفاق {agreement}: {bytes} بايت، SHA-256 {sha256}."),
            ],
            None => [
                format!("Transfer complete under agreement {agreement}."),
                format!("계약 {agreement}에 따른 전송 완료."),
                format!("契約 {agreement} に基づく転送が完了。"),
                format!("اكتمل النقل بموجب الاتفاق {agreement}."),
            ],
        });
        Self { counterparty: transfer.process.counterparty.clone(), kind: TRANSFER, document, texts }
    }
}

impl Record {
    /// What the consumer says it deleted: the node's copy, or with `all` every copy there was.
    fn deleted(transfer: &Transfer, own: &str, all: bool) -> Option<Self> {
        let (retention, content) = (transfer.retention.as_ref()?, transfer.content.as_ref()?);
        let at = if all { retention.confirmed? } else { retention.deleted? };
        let (provider, consumer) = transfer.process.pids();
        let (agreement, sha256) = (&transfer.agreement, &content.sha256);
        let document = json!({
            "kind": DELETION,
            "agreement": agreement,
            "dataset": transfer.dataset,
            "providerPid": provider,
            "consumerPid": consumer,
            "sha256": sha256,
            "bytes": content.bytes,
            "by": own,
            "copies": if all { "all" } else { "node" },
            "at": at,
            "due": retention.delete_by,
        });
        let texts = texts(if all {
            [
                format!(
                    "{own} says that no copy is left of the data with SHA-256 {sha256} (agreement {agreement})."
                ),
                format!(
                    "{own}은(는) SHA-256 {sha256} 데이터의 사본이 더 이상 없다고 밝힙니다(계약 {agreement})."
                ),
                format!(
                    "{own} は、SHA-256 {sha256} のデータの写しが残っていないことを表明します(契約 {agreement})。"
                ),
                format!(
                    "تفيد {own} بأنه لم تبق أي نسخة من البيانات ذات SHA-256 {sha256} (الاتفاق {agreement})."
                ),
            ]
        } else {
            [
                format!(
                    "The node of {own} deleted its copy of the data with SHA-256 {sha256} (agreement {agreement})."
                ),
                format!("{own}의 노드가 SHA-256 {sha256} 데이터의 사본을 삭제했습니다(계약 {agreement})."),
                format!(
                    "{own} のノードは、SHA-256 {sha256} のデータの写しを削除しました(契約 {agreement})。"
                ),
                format!("حذفت عقدة {own} نسختها من البيانات ذات SHA-256 {sha256} (الاتفاق {agreement})."),
            ]
        });
        Some(Self { counterparty: transfer.process.counterparty.clone(), kind: DELETION, document, texts })
    }
}

/// English, Korean, Japanese, Arabic.
fn texts(written: [String; 4]) -> BTreeMap<String, String> {
    ["en", "ko", "ja", "ar"].map(ToOwned::to_owned).into_iter().zip(written).collect()
}
