//! The archive around a dossier: what is accepted, what is refused, and what hostile archives do.

use std::io::{self, Cursor, Read, Write as _};

use flate2::Compression;
use flate2::write::GzEncoder;
use hiwar_dialogue::entry::{Attachment, Body};
use hiwar_dossier::{AttachmentFile, Limits, Verdict, WriteError, verify, write};
use hiwar_trust::hash::Hash;
use sha2::Digest as _;
use tar::{EntryType, Header};

use crate::world::{MOTIE, World, failed, show, unproved, words};

/// The members of an archive.
pub(crate) fn members(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut archive = tar::Archive::new(bytes);
    let entries = archive.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            (entry.path().unwrap().to_string_lossy().into_owned(), content)
        })
        .collect()
}

/// A header for names that a decent library would not write.
fn header(name: &str, size: u64, kind: EntryType) -> Header {
    let mut header = Header::new_ustar();
    let field = &mut header.as_old_mut().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(size);
    header.set_entry_type(kind);
    header.set_cksum();
    header
}

fn append(out: &mut Vec<u8>, header: &Header, content: &[u8]) {
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(content);
    out.resize(out.len().next_multiple_of(512), 0);
}

pub(crate) fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, content) in members {
        append(&mut out, &header(name, content.len() as u64, EntryType::Regular), content);
    }
    out.resize(out.len() + 1024, 0);
    out
}

fn container_problem(verdict: &Verdict) -> String {
    assert!(verdict.claim("container").unwrap().is_failed(), "{}", show(verdict));
    serde_json::to_value(verdict.claim("container").unwrap()).unwrap()["why"].as_str().unwrap().to_owned()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn the_archive_opens_with_common_tools_and_has_the_members_in_order() {
    let world = World::new();
    let bytes = world.bytes();
    let found = members(&bytes);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "README.txt",
        "dossier.json",
        "seal.txt",
        "identities.json",
        "entries.ndjson",
        "log.json",
        "receipts.ndjson",
    ];
    assert_eq!(names[..7], expected);
    assert_eq!(archive(&found), bytes, "there is one possible archive for the same members");
    for (_, content) in found.iter().skip(1).take(6) {
        assert!(std::str::from_utf8(content).is_ok());
    }
}

#[test]
fn gzip_is_read_as_well() {
    let world = World::new();
    let packed = gzip(&world.bytes());
    assert!(world.verdict(&packed).complete());
    let mut more = packed.clone();
    more.extend_from_slice(b"more");
    assert!(container_problem(&world.verdict(&more)).contains("follows after the end of the gzip"));
    for length in (0..packed.len()).step_by(97) {
        assert!(!world.verdict(&packed[..length]).ok(), "{length}");
    }
    for at in (12..packed.len()).step_by(37) {
        let mut changed = packed.clone();
        changed[at] ^= 4;
        assert!(!world.verdict(&changed).ok(), "{at}");
    }
}

#[test]
fn a_source_that_gives_one_byte_at_a_time_is_read_as_well() {
    struct Slow(Cursor<Vec<u8>>);
    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(1);
            self.0.read(&mut buffer[..most])
        }
    }
    let world = World::new();
    for bytes in [world.bytes(), gzip(&world.bytes())] {
        assert!(verify(Slow(Cursor::new(bytes)), &world.anchors(), &Limits::default()).complete());
    }
}

#[test]
fn a_gzip_bomb_is_stopped_early() {
    let world = World::new();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(header("README.txt", 1 << 40, EntryType::Regular).as_bytes()).unwrap();
    let zeros = vec![0_u8; 1 << 20];
    for _ in 0..80 {
        encoder.write_all(&zeros).unwrap();
    }
    let bomb = encoder.finish().unwrap();
    let verdict = world.verdict(&bomb);
    assert!(container_problem(&verdict).contains("exhaust the reader"), "{}", show(&verdict));
    let limits = Limits { gzip_bytes_max: 1 << 20, ..Limits::default() };
    let verdict = verify(bomb.as_slice(), &[], &limits);
    assert!(container_problem(&verdict).contains("unpacks to more than 1048576 bytes"));
}

#[test]
fn what_is_no_archive_is_called_so() {
    for bytes in [
        Vec::new(),
        b"hello".to_vec(),
        vec![0; 4096],
        vec![b'x'; 4096],
        b"PK\x03\x04".repeat(512),
        gzip(b""),
        gzip(b"hello"),
    ] {
        let verdict = World::empty().verdict(&bytes);
        assert_eq!(failed(&verdict), ["container"]);
        assert!(container_problem(&verdict).contains("no tar archive"), "{}", show(&verdict));
    }
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is on fire"))
        }
    }
    assert!(container_problem(&verify(Broken, &[], &Limits::default())).contains("on fire"));
}

#[test]
fn members_that_do_not_belong_there_are_refused() {
    let world = World::new();
    let bytes = world.bytes();
    let whole = members(&bytes);
    let end = bytes.len() - 1024;
    for (name, kind) in [
        ("../../etc/passwd", EntryType::Regular),
        ("/etc/passwd", EntryType::Regular),
        ("attachments/../x", EntryType::Regular),
        ("./README.txt", EntryType::Regular),
        ("README.txt", EntryType::Regular),
        ("attachments", EntryType::Directory),
        ("entries.ndjson", EntryType::Symlink),
        ("link", EntryType::Link),
        ("fifo", EntryType::Fifo),
        ("name", EntryType::GNULongName),
        ("pax", EntryType::XHeader),
        ("", EntryType::Regular),
    ] {
        let mut changed = bytes[..end].to_vec();
        append(&mut changed, &header(name, 4, kind), b"evil");
        changed.resize(changed.len() + 1024, 0);
        let verdict = world.verdict(&changed);
        assert_eq!(failed(&verdict), ["container"], "{name}");
    }
    // A link in the place of a member.
    let mut changed = Vec::new();
    for (name, content) in &whole {
        match name.as_str() {
            "entries.ndjson" => append(&mut changed, &header(name, 0, EntryType::Symlink), b""),
            _ => append(&mut changed, &header(name, content.len() as u64, EntryType::Regular), content),
        }
    }
    changed.resize(changed.len() + 1024, 0);
    let verdict = world.verdict(&changed);
    assert!(failed(&verdict).contains(&"container:entries.ndjson"));
    assert!(show(&verdict).contains("no regular file"));
}

#[test]
fn members_have_one_order_and_all_are_there() {
    let world = World::new();
    let whole = members(&world.bytes());
    for (index, (name, _)) in whole.iter().enumerate() {
        let mut without = whole.clone();
        without.remove(index);
        let verdict = world.verdict(&archive(&without));
        match name.as_str() {
            "seal.txt" => assert_eq!(unproved(&verdict), ["seal"]),
            _ => assert!(!verdict.ok(), "{name}"),
        }
    }
    for index in 1..whole.len() {
        let mut swapped = whole.clone();
        swapped.swap(index - 1, index);
        let verdict = world.verdict(&archive(&swapped));
        assert!(container_problem(&verdict).contains("order"), "{}", show(&verdict));
    }
}

#[test]
fn sizes_that_are_not_true_are_not_believed() {
    let world = World::new();
    let bytes = world.bytes();
    for size in [1 << 20, 1 << 40, u64::MAX >> 1, u64::MAX] {
        // As the first member, and as the last.
        let mut first = Vec::new();
        append(&mut first, &header("README.txt", size, EntryType::Regular), b"short");
        assert!(container_problem(&world.verdict(&first)).contains("cut off"));
        let mut last = bytes[..bytes.len() - 1024].to_vec();
        append(&mut last, &header("zzz", size, EntryType::Regular), b"short");
        assert!(container_problem(&world.verdict(&last)).contains("cut off"));
    }
}

#[test]
fn limits_are_named_when_they_are_crossed() {
    let world = World::new();
    let bytes = world.bytes();
    let standard = Limits::default();
    for (limits, claim, expected) in [
        (Limits { members_max: 3, ..standard.clone() }, "container", "more than 3 members"),
        (Limits { document_bytes_max: 100, ..standard.clone() }, "container:identities.json", "100 bytes"),
        (Limits { log_bytes_max: 100, ..standard.clone() }, "container:log.json", "100 bytes"),
        (Limits { entries_max: 2, ..standard.clone() }, "container:entries.ndjson", "2 entries"),
        (Limits { entries_bytes_max: 10, ..standard.clone() }, "container:entries.ndjson", "10 bytes"),
        (Limits { receipts_max: 2, ..standard.clone() }, "container:receipts.ndjson", "2 receipts"),
        (Limits { claims_max: 20, ..standard.clone() }, "container:claims", "20 claims"),
    ] {
        let verdict = verify(bytes.as_slice(), &[], &limits);
        let claim = verdict.claim(claim).unwrap_or_else(|| panic!("{claim}"));
        assert!(claim.is_failed(), "{claim:?}");
        assert!(serde_json::to_string(claim).unwrap().contains(expected), "{claim:?}");
    }
}

#[test]
fn files_are_there_whole_or_said_to_be_left_out() {
    let world = World::new();
    let sha256 = *world.files.keys().next().unwrap();
    let claim = format!("attachment:{sha256}");
    let mut bytes = Vec::new();
    write(&world.contents(), Vec::new(), &mut bytes).unwrap();
    let verdict = world.verdict(&bytes);
    assert!(verdict.ok());
    assert_eq!(unproved(&verdict), ["seal", claim.as_str()]);
    // A file that no entry names.
    let mut other = World::new();
    other.files.insert(Hash::of(b"stray"), b"stray".to_vec());
    let verdict = other.verdict(&other.bytes());
    assert_eq!(failed(&verdict), [format!("attachment:{}", Hash::of(b"stray"))]);
}

#[test]
fn a_file_that_changed_on_disk_is_not_exported() {
    let world = World::new();
    let sha256 = *world.files.keys().next().unwrap();
    let size = world.files[&sha256].len() as u64;
    let export = |content: Vec<u8>, broken: bool| {
        let open = move || match broken {
            true => Err(io::Error::other("gone")),
            false => Ok(Box::new(Cursor::new(content)) as Box<dyn Read>),
        };
        let file = AttachmentFile { sha256, size, open: Box::new(open) };
        write(&world.contents(), [file], io::sink()).map(|_| ())
    };
    assert!(export(world.files[&sha256].clone(), false).is_ok());
    let wrong = [b"short".to_vec(), vec![b'x'; world.files[&sha256].len()], vec![b'x'; 100_000]];
    for content in wrong {
        let error = export(content, false).unwrap_err();
        assert!(matches!(error, WriteError::AttachmentChanged { .. }), "{error}");
    }
    assert!(matches!(export(Vec::new(), true), Err(WriteError::AttachmentUnreadable { .. })));
}

#[test]
fn contents_that_contradict_themselves_are_not_written() {
    let world = World::new();
    type Change = fn(&mut hiwar_dossier::DossierContents);
    let cases: [(Change, &str); 6] = [
        (|c| c.entries[1].id = c.entries[2].id, "have changed"),
        (|c| c.entries[1] = c.entries[2].clone(), "twice"),
        (|c| c.identities.clear(), "own cards"),
        (|c| c.identities.push(c.identities[0].clone()), "twice"),
        (|c| c.logs.clear(), "not given"),
        (|c| c.receipts.push(c.receipts[0].clone()), "two receipts"),
    ];
    for (change, expected) in cases {
        let mut contents = world.contents();
        change(&mut contents);
        let error = write(&contents, Vec::new(), io::sink()).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
#[ignore = "moves 9 GiB through a pipe"]
fn a_file_of_nine_gibibytes_streams_through() {
    const SIZE: u64 = (9 << 30) + 5;
    let zeros = || io::repeat(0).take(SIZE);
    let mut hasher = sha2::Sha256::new();
    let chunk = vec![0_u8; 1 << 20];
    for _ in 0..SIZE >> 20 {
        hasher.update(&chunk);
    }
    hasher.update([0_u8; 5]);
    let sha256 = Hash(hasher.finalize().into());
    let mut world = World::empty();
    world.open();
    let attachment =
        Attachment { name: "zeros".into(), media_type: "application/x-zeros".into(), size: SIZE, sha256 };
    world.say_with(MOTIE, 1, Body::Attachment(words("x")), vec![attachment]);
    let (reader, writer) = io::pipe().unwrap();
    let contents = world.contents();
    let exporting = std::thread::spawn(move || {
        let file = AttachmentFile {
            sha256,
            size: SIZE,
            open: Box::new(move || Ok(Box::new(zeros()) as Box<dyn Read>)),
        };
        write(&contents, [file], io::BufWriter::with_capacity(1 << 20, writer)).map(|_| ())
    });
    let verdict = verify(reader, &world.anchors(), &Limits::default());
    exporting.join().unwrap().unwrap();
    assert!(verdict.ok(), "{}", show(&verdict));
    assert!(verdict.claim(&format!("attachment:{sha256}")).unwrap().is_proved());
}
