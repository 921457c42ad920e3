use super::*;

fn issuance(id: &str, holder: &str) -> Issuance {
    Issuance {
        id: id.into(),
        holder: holder.into(),
        holder_pid: Some("pid".into()),
        access: None,
        wanted: vec![Wanted { kind: "MembershipCredential".into(), profile: "vc20-bssl/jwt".into() }],
        state: IssuanceState::Waiting,
        reason: None,
        created: Timestamp::from_millis(1000),
        due: None,
        attempts: 0,
        problem: None,
        decided: None,
        delivered: None,
    }
}

fn credential(id: &str, list: i64, place: u32) -> IssuedCredential {
    IssuedCredential {
        id: id.into(),
        issuance: "i".into(),
        holder: "did:web:a.example".into(),
        kind: "MembershipCredential".into(),
        profile: "vc20-bssl/jwt".into(),
        list,
        place,
        issued: Timestamp::from_millis(1000),
        until: Timestamp::from_millis(2000),
        revoked: None,
        reason: None,
        jwt: "a.b.c".into(),
    }
}

#[test]
fn a_place_in_a_status_list_is_given_once_and_a_revocation_outlives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(dir.path()).unwrap();
    let list = store.job(|tx| tx.new_list("vc20-bssl/jwt")).unwrap();
    store.job(|tx| tx.put_issued(&credential("c1", list, 7))).unwrap();
    store.job(|tx| tx.put_issued(&credential("c2", list, 9))).unwrap();
    assert!(store.job(|tx| tx.put_issued(&credential("c3", list, 7))).is_err());
    assert!(store.job(|tx| tx.is_given(list, 7)).unwrap());
    assert!(!store.job(|tx| tx.is_given(list, 8)).unwrap());
    assert_eq!(store.job(|tx| tx.newest_list("vc20-bssl/jwt")).unwrap(), Some((list, 2)));
    let at = Timestamp::from_millis(1500);
    let revoked = store.job(|tx| tx.revoke("c2", at, Some("left".into()))).unwrap().unwrap();
    assert_eq!((revoked.revoked, revoked.reason.as_deref()), (Some(at), Some("left")));
    // The first revocation stands.
    let again = store.job(|tx| tx.revoke("c2", Timestamp::from_millis(1600), None)).unwrap().unwrap();
    assert_eq!(again, revoked);
    assert_eq!(store.job(|tx| tx.revoke("c9", at, None)).unwrap(), None);
    store.commit().unwrap();
    drop(store);
    let reader = DataspaceReader::open(dir.path()).unwrap();
    assert_eq!(reader.status_list(list).unwrap(), Some(("vc20-bssl/jwt".into(), vec![9])));
    assert_eq!(reader.status_list(list + 1).unwrap(), None);
    assert_eq!(reader.issued(10).unwrap().first(), Some(&revoked));
    assert_eq!(reader.issued_by("i").unwrap().len(), 2);
}

#[test]
fn a_token_s_name_is_taken_once_until_its_token_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(dir.path()).unwrap();
    let mut take = |issuer: &str, jti: &str, until, now| {
        let taken = store.job(|tx| tx.take_token(issuer, jti, until, now)).unwrap();
        store.commit().unwrap();
        taken
    };
    assert!(take("did:web:a.example", "1", 100, 10));
    assert!(!take("did:web:a.example", "1", 100, 100));
    assert!(take("did:web:b.example", "1", 100, 100), "names are each issuer's own");
    assert!(take("did:web:a.example", "1", 300, 101));
}

#[test]
fn an_issuance_is_found_by_its_state_its_holder_and_when_its_holder_is_to_be_told() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = DataspaceStore::open(dir.path()).unwrap();
    for (id, holder) in [("1", "a"), ("2", "a"), ("3", "b")] {
        store.job(|tx| tx.put_issuance(&issuance(id, holder))).unwrap();
    }
    assert_eq!(store.job(|tx| tx.issuances_waiting("a")).unwrap(), (3, 2));
    assert_eq!(store.job(|tx| tx.issuances_since("a", Timestamp::from_millis(999))).unwrap(), 2);
    assert_eq!(store.job(|tx| tx.issuances_since("a", Timestamp::from_millis(1000))).unwrap(), 0);
    let due = Some(Timestamp::from_millis(5));
    let issued = Issuance { state: IssuanceState::Issued, due, ..issuance("2", "a") };
    store.job(|tx| tx.put_issuance(&issued)).unwrap();
    store.commit().unwrap();
    assert_eq!(store.job(|tx| tx.issuances_waiting("a")).unwrap(), (2, 1));
    let view = store.view();
    assert_eq!(view.issuances_due().unwrap(), [("2".to_owned(), Timestamp::from_millis(5))]);
    assert_eq!(view.issuance("2").unwrap(), Some(issued));
    assert_eq!(view.issuances(2).unwrap().iter().map(|i| i.id.as_str()).collect::<Vec<_>>(), ["3", "2"]);
}
