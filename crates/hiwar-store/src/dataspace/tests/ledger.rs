use hiwar_dataspace::ledger::{
    Content, Contract, Ending, Ledger, LedgerError, MemoryLedger, Negotiation, Note, Outgoing, Process,
    Retention, Scheduled, Statement, Taken, Transfer, Why,
};
use hiwar_dataspace::negotiation::{NegotiationState, NegotiationStep, Role};
use hiwar_dataspace::policy::Agreement;
use hiwar_dataspace::transfer::{TransferState, TransferStep};
use hiwar_dataspace::wire::DataAddress;
use hiwar_trust::hash::Hash;
use proptest::prelude::*;
use serde_json::json;

use super::*;

const PROCESSES: u8 = 6;
const AGREEMENTS: u8 = 3;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + millis)
}

/// What a call writes; each number stands for a choice.
#[derive(Clone, Debug)]
enum Call {
    Negotiation { pid: u8, form: u8, time: i64 },
    Transfer { pid: u8, form: u8, time: i64 },
    Contract { agreement: u8, form: u8, time: i64 },
    Note { form: u8 },
}

fn role(form: u8) -> Role {
    if form & 1 == 0 { Role::Provider } else { Role::Consumer }
}

fn ending(time: i64) -> Ending {
    Ending { by: Role::Provider, why: Why::new("expired", "it is \"over\""), at: at(time) }
}

fn process<S: Copy>(pid: u8, form: u8, time: i64, step: S) -> Process<S> {
    Process {
        pid: format!("pid-{pid}"),
        role: role(form),
        counterparty: format!("did:web:{}.example", form >> 1 & 1),
        peer_pid: (form & 4 > 0).then(|| format!("peer-{pid}")),
        address: "https://peer.example/dsp/2025-1".into(),
        pending: (form & 8 > 0).then(|| Outgoing {
            step,
            id: "urn:uuid:1".into(),
            path: "/negotiations".into(),
            body: "{\"a\": \"ü\"}".into(),
            attempts: 3,
            refusals: 1,
            due: at(time),
            trouble: Some("connection refused".into()),
        }),
        scheduled: (form & 16 > 0).then(|| Scheduled {
            step,
            due: at(time / 2),
            why: Some(Why::new("a", "b")),
        }),
        taken: vec![Hash::of(&[form])],
        history: vec![Taken { at: at(time), by: role(form), step }],
        ending: (form & 32 > 0).then(|| ending(time)),
        stuck: (form & 64 > 0).then(|| "no key".into()),
        created: at(0),
        changed: at(time),
    }
}

fn agreement(number: u8) -> Agreement {
    Agreement {
        id: format!("agreement-{number}"),
        target: "dataset".into(),
        assigner: "did:web:a.example".into(),
        assignee: "did:web:b.example".into(),
        timestamp: Some(at(0)),
        policy: policy(),
    }
}

fn negotiation(pid: u8, form: u8, time: i64) -> Negotiation {
    Negotiation {
        process: process(pid, form, time, NegotiationStep::Offer),
        state: NegotiationState::ALL.get(usize::from(form % 8)).copied(),
        dataset: "dataset".into(),
        offer: dataset(1).offer.about("dataset"),
        asked: form.is_multiple_of(2).then(|| dataset(2).offer.about("dataset")),
        statement: Statement { purpose: Some("audit".into()), ..Statement::default() },
        agreement: form.is_multiple_of(3).then(|| agreement(form % AGREEMENTS)),
        decision: form.is_multiple_of(5).then(|| json!({"permitted": true})),
    }
}

pub(super) fn transfer(pid: u8, form: u8, time: i64) -> Transfer {
    Transfer {
        process: process(pid, form, time, TransferStep::Start),
        state: TransferState::ALL.get(usize::from(form % 6)).copied(),
        agreement: format!("agreement-{}", form % AGREEMENTS),
        dataset: "dataset".into(),
        format: PULL.into(),
        statement: Statement::default(),
        address: form.is_multiple_of(2).then(|| DataAddress {
            endpoint_type: "https://w3id.org/idsa/v4.1/HTTP".into(),
            endpoint: Some("https://data.example/1".into()),
            endpoint_properties: vec![],
        }),
        token: Some("00".repeat(32)),
        token_expires: None,
        refresh: None,
        permitted_until: Some(at(time)),
        sequence: vec![TransferStep::Complete],
        content: Some(Content { sha256: "11".repeat(32), bytes: u64::from(form) }),
        retention: form.is_multiple_of(3).then(|| Retention {
            received: at(time),
            delete_by: at(time + i64::from(form)),
            deleted: form.is_multiple_of(2).then(|| at(time)),
            confirmed: None,
        }),
        decision: None,
    }
}

fn contract(number: u8, form: u8, time: i64) -> Contract {
    Contract {
        agreement: agreement(number),
        role: role(form),
        counterparty: format!("did:web:{}.example", form >> 1 & 1),
        address: "https://peer.example".into(),
        negotiation: "pid-1".into(),
        agreed: at(time),
        statement: Statement::default(),
        transfers: u64::from(form),
        ended: form.is_multiple_of(2).then(|| ending(time)),
    }
}

fn run(call: &Call, ledger: &mut impl Ledger) -> Result<(), LedgerError> {
    match *call {
        Call::Negotiation { pid, form, time } => ledger.put_negotiation(&negotiation(pid, form, time)),
        Call::Transfer { pid, form, time } => ledger.put_transfer(&transfer(pid, form, time)),
        Call::Contract { agreement, form, time } => ledger.put_contract(&contract(agreement, form, time)),
        Call::Note { form } => ledger.note(&match form % 3 {
            0 => Note::Agreed { agreement: "a".into() },
            1 => Note::Ended { agreement: "b".into() },
            _ => Note::Transferred { transfer: "c".into() },
        }),
    }
}

/// Every answer that a ledger can give about what the calls can have written.
fn answers(ledger: &impl Ledger) -> String {
    let mut said = Vec::new();
    for number in 0..=PROCESSES {
        let (pid, peer) = (format!("pid-{number}"), format!("peer-{number}"));
        said.push(format!("{:?} {:?}", ledger.negotiation(&pid).unwrap(), ledger.transfer(&pid).unwrap()));
        for role in [Role::Provider, Role::Consumer] {
            for counterparty in ["did:web:0.example", "did:web:1.example"] {
                let negotiation = ledger.negotiation_of(role, counterparty, &peer).unwrap();
                let transfer = ledger.transfer_of(role, counterparty, &peer).unwrap();
                said.push(format!("{negotiation:?} {transfer:?}"));
            }
        }
    }
    for number in 0..=AGREEMENTS {
        let id = format!("agreement-{number}");
        said.push(format!("{:?} {:?}", ledger.running(&id).unwrap(), ledger.contract(&id).unwrap()));
    }
    for number in 0..4 {
        said.push(format!("{:?}", ledger.dataset(&dataset(number).id).unwrap()));
    }
    said.join("\n")
}

fn call() -> impl Strategy<Value = Call> {
    let time = 0_i64..1_000_000;
    prop_oneof![
        4 => (0..PROCESSES, any::<u8>(), time.clone())
            .prop_map(|(pid, form, time)| Call::Negotiation { pid, form, time }),
        4 => (0..PROCESSES, any::<u8>(), time.clone())
            .prop_map(|(pid, form, time)| Call::Transfer { pid, form, time }),
        2 => (0..AGREEMENTS, any::<u8>(), time)
            .prop_map(|(agreement, form, time)| Call::Contract { agreement, form, time }),
        1 => any::<u8>().prop_map(|form| Call::Note { form }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_answers_as_the_ledger_in_memory_does(jobs in prop::collection::vec(
        (prop::collection::vec(call(), 1..5), any::<bool>()), 1..12))
    {
        let root = tempfile::tempdir().unwrap();
        let mut store = DataspaceStore::open(root.path()).unwrap();
        let mut memory = MemoryLedger::default();
        put(&mut store, 0..3);
        memory.datasets.extend((0..3).map(dataset).map(|d| (d.id.clone(), d)));
        for (calls, succeeds) in &jobs {
            let before = memory.clone();
            let done: Result<(), LedgerError> = store.job(|tx| {
                for call in calls {
                    run(call, tx)?;
                    run(call, &mut memory)?;
                }
                assert_eq!(answers(tx), answers(&memory));
                for touched in tx.touched() {
                    let due = match touched.kind {
                        ProcessKind::Negotiation => memory.negotiations[&touched.pid].process.due(),
                        ProcessKind::Transfer => memory.transfers[&touched.pid].process.due(),
                    };
                    assert_eq!(touched.due, due);
                }
                if *succeeds { Ok(()) } else { Err(LedgerError("undone".into())) }
            });
            if done.is_err() {
                memory = before;
            }
        }
        store.commit().unwrap();
        drop(store);
        let mut store = DataspaceStore::open(root.path()).unwrap();
        let reopened: Result<String, LedgerError> = store.job(|tx| Ok(answers(tx)));
        assert_eq!(reopened.unwrap(), answers(&memory));
        let notes: Vec<Note> = store.view().notes_waiting(0, usize::MAX).unwrap().into_iter().map(|w| w.note).collect();
        assert_eq!(notes, memory.notes);
        check_due(store.view(), &memory);
        check_to_delete(store.view(), &memory);
        check_lists(store.view(), &memory);
    }
}

fn check_due(reader: &DataspaceReader, memory: &MemoryLedger) {
    let due = reader.due().unwrap();
    assert!(due.is_sorted_by_key(|d| d.due));
    let negotiations = memory.negotiations.values().filter_map(|n| n.process.due());
    let mut expected: Vec<_> =
        negotiations.chain(memory.transfers.values().filter_map(|t| t.process.due())).collect();
    expected.sort();
    assert_eq!(due.iter().filter_map(|d| d.due).collect::<Vec<_>>(), expected);
}

fn check_to_delete(reader: &DataspaceReader, memory: &MemoryLedger) {
    let kept = memory.transfers.values().filter_map(|t| Some((t, t.retention.as_ref()?)));
    let due = kept.filter(|(_, kept)| kept.deleted.is_none());
    let mut due: Vec<_> = due.map(|(t, kept)| (kept.delete_by, t.process.pid.clone())).collect();
    due.sort();
    let found = reader.to_delete(usize::MAX).unwrap();
    assert!(found.is_sorted_by_key(|(_, by)| *by), "soonest first: {found:?}");
    let mut found: Vec<_> = found.into_iter().map(|(pid, by)| (by, pid)).collect();
    found.sort();
    assert_eq!(found, due);
}

fn fits<S>(filter: &ProcessFilter, process: &Process<S>, state: Option<&str>) -> bool {
    filter.role.is_none_or(|role| role == process.role)
        && filter.counterparty.as_ref().is_none_or(|c| *c == process.counterparty)
        && filter.state.as_deref().is_none_or(|wanted| state == Some(wanted))
}

fn check_lists(reader: &DataspaceReader, memory: &MemoryLedger) {
    let mut filters = vec![ProcessFilter::default()];
    for role in [Role::Provider, Role::Consumer] {
        filters.push(ProcessFilter { role: Some(role), ..ProcessFilter::default() });
        filters.push(ProcessFilter {
            role: Some(role),
            counterparty: Some("did:web:1.example".into()),
            state: Some("REQUESTED".into()),
        });
    }
    for filter in filters {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = reader.transfers(&filter, after, 2).unwrap();
            assert!(page.records.len() <= 2);
            found.extend(page.records);
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        found.sort_by(|a, b| a.process.pid.cmp(&b.process.pid));
        let wanted = |t: &&Transfer| fits(&filter, &t.process, t.state.map(TransferState::as_str));
        let expected: Vec<Transfer> = memory.transfers.values().filter(wanted).cloned().collect();
        assert_eq!(found, expected);
        assert_eq!(
            reader.negotiations(&filter, None, 99).unwrap().records.len(),
            memory
                .negotiations
                .values()
                .filter(|n| fits(&filter, &n.process, n.state.map(NegotiationState::as_str)))
                .count()
        );
    }
    let contracts = reader.contracts(&ContractFilter::default(), None, 99).unwrap();
    assert_eq!((contracts.records.len(), contracts.next), (memory.contracts.len(), None));
}
