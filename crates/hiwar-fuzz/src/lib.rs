//! Fuzz bodies for every parser of a stranger's bytes, with a runner for the stable toolchain.
//!
//! A *body* takes bytes, hands them to one parser and asserts what must hold whatever they are: no
//! panic, output bounded by the input, and that what was read is written back the same. Bodies
//! know nothing of who makes the bytes: `cargo run -p hiwar-fuzz` mutates valid inputs on the
//! stable toolchain, and the `fuzz` folder at the root of the repository hands the same bodies to
//! libFuzzer.
//!
//! **To add a parser:** write `pub fn NAME(data: &[u8])` and `pub fn NAME_seeds() -> Vec<Vec<u8>>`
//! in a module below [`bodies`], add a line to [`TARGETS`], and run `fuzz/add NAME`.

pub mod bodies;
pub mod mutate;
pub mod outcome;
pub mod random;
pub mod runner;
pub mod sample;

use bodies::{
    arrangement, claims, dataspace, disclosure, entry, evidence, http, identity, json, key, measure, meeting,
    merkle, note, radar, receipt, text, wire,
};

/// A fuzz target: its name, its body, and its valid inputs.
pub type Target = (&'static str, fn(&[u8]), fn() -> Vec<Vec<u8>>);

/// Every parser of a stranger's bytes.
pub const TARGETS: &[Target] = &[
    ("jcs", json::jcs, json::jcs_seeds),
    ("hash", text::hash, text::hash_seeds),
    ("timestamp", text::timestamp, text::timestamp_seeds),
    ("did", text::did, text::did_seeds),
    ("public_key", text::public_key, text::public_key_seeds),
    ("signature", text::signature, text::signature_seeds),
    ("marking", text::marking, text::marking_seeds),
    ("words", text::words, text::words_seeds),
    ("tile_path", text::tile_path, text::tile_path_seeds),
    ("note", note::note, note::note_seeds),
    ("verifier_key", note::verifier_key, note::verifier_key_seeds),
    ("checkpoint", note::checkpoint, note::checkpoint_seeds),
    ("receipt", receipt::receipt, receipt::receipt_seeds),
    ("inclusion_proof", merkle::inclusion_proof, merkle::inclusion_proof_seeds),
    ("consistency_proof", merkle::consistency_proof, merkle::consistency_proof_seeds),
    ("card", identity::card, identity::card_seeds),
    ("identity", identity::identity, identity::identity_seeds),
    ("httpsig_request", http::httpsig_request, http::httpsig_request_seeds),
    ("httpsig_response", http::httpsig_response, http::httpsig_response_seeds),
    ("content_digest", http::content_digest, http::content_digest_seeds),
    ("session_request", http::session_request, http::session_request_seeds),
    ("fetch_request", http::fetch_request, http::fetch_request_seeds),
    ("api_action", http::api_action, http::api_action_seeds),
    ("keyfile", key::keyfile, key::keyfile_seeds),
    ("keyfile_encrypted", key::keyfile_encrypted, key::keyfile_encrypted_seeds),
    ("entry", entry::entry, entry::entry_seeds),
    ("envelope", entry::envelope, entry::envelope_seeds),
    ("batch", wire::batch, wire::batch_seeds),
    ("reply", wire::reply, wire::reply_seeds),
    ("invitation", evidence::invitation, evidence::invitation_seeds),
    ("dossier", evidence::dossier, evidence::dossier_seeds),
    ("radar_table", radar::radar_table, radar::radar_table_seeds),
    ("radar_parquet", radar::radar_parquet, radar::radar_parquet_seeds),
    ("radar_network", radar::radar_network, radar::radar_network_seeds),
    ("radar_bill", radar::radar_bill, radar::radar_bill_seeds),
    ("radar_items", radar::radar_items, radar::radar_items_seeds),
    ("radar_corroboration", radar::radar_corroboration, radar::radar_corroboration_seeds),
    ("radar_intersection", radar::radar_intersection, radar::radar_intersection_seeds),
    ("claims_jws", claims::claims_jws, claims::claims_jws_seeds),
    ("claims_token", claims::claims_token, claims::claims_token_seeds),
    ("claims_did", claims::claims_did, claims::claims_did_seeds),
    ("claims_credential", claims::claims_credential, claims::claims_credential_seeds),
    ("claims_presentation", claims::claims_presentation, claims::claims_presentation_seeds),
    ("claims_status", claims::claims_status, claims::claims_status_seeds),
    ("claims_query", claims::claims_query, claims::claims_query_seeds),
    ("dsp_negotiation", dataspace::dsp_negotiation, dataspace::dsp_negotiation_seeds),
    ("dsp_transfer", dataspace::dsp_transfer, dataspace::dsp_transfer_seeds),
    ("dsp_catalog_request", dataspace::dsp_catalog_request, dataspace::dsp_catalog_request_seeds),
    ("dsp_catalog", dataspace::dsp_catalog, dataspace::dsp_catalog_seeds),
    ("dsp_data_address", dataspace::dsp_data_address, dataspace::dsp_data_address_seeds),
    ("dsp_version", dataspace::dsp_version, dataspace::dsp_version_seeds),
    ("dsp_policy", dataspace::dsp_policy, dataspace::dsp_policy_seeds),
    ("dsp_terms", dataspace::dsp_terms, dataspace::dsp_terms_seeds),
    ("claims_request", claims::claims_request, claims::claims_request_seeds),
    ("claims_metadata", claims::claims_metadata, claims::claims_metadata_seeds),
    ("claims_request_status", claims::claims_request_status, claims::claims_request_status_seeds),
    ("claims_offer", claims::claims_offer, claims::claims_offer_seeds),
    ("claims_delivery", claims::claims_delivery, claims::claims_delivery_seeds),
    ("measure_document", measure::measure_document, measure::measure_document_seeds),
    ("measure_gta", measure::measure_gta, measure::measure_gta_seeds),
    ("arrangement", arrangement::arrangement, arrangement::arrangement_seeds),
    ("disclosure_report", disclosure::disclosure_report, disclosure::disclosure_report_seeds),
    ("disclosure_design", disclosure::disclosure_design, disclosure::disclosure_design_seeds),
    ("disclosure_sdmx", disclosure::disclosure_sdmx, disclosure::disclosure_sdmx_seeds),
    ("disclosure_proof", disclosure::disclosure_proof, disclosure::disclosure_proof_seeds),
    ("meeting_form", meeting::meeting_form, meeting::meeting_form_seeds),
    ("calendar_reply", meeting::calendar_reply, meeting::calendar_reply_seeds),
];

/// The target with this name.
pub fn target(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|(known, ..)| *known == name)
}

/// Runs one input of the target with this name, for libFuzzer.
///
/// # Panics
/// When there is no such target, or when the body finds something.
pub fn run(name: &str, data: &[u8]) {
    let target = target(name);
    assert!(target.is_some(), "there is no target {name}");
    if let Some((_, body, _)) = target {
        body(data);
    }
}

/// The parts of an input for a parser that takes several texts, which lines of four hyphens
/// separate. An absent part is empty.
pub fn parts<const N: usize>(data: &[u8]) -> [&[u8]; N] {
    let mut rest = Some(data);
    std::array::from_fn(|index| {
        let found = rest.unwrap_or_default();
        let cut = found.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
        match cut.filter(|_| index + 1 < N).and_then(|at| found.split_at_checked(at)) {
            Some((part, behind)) => {
                rest = behind.get(SEPARATOR.len()..);
                part
            }
            None => {
                rest = None;
                found
            }
        }
    })
}

/// What stands between the parts of an input.
pub const SEPARATOR: &[u8] = b"\n----\n";

/// Makes one input of several parts; the inverse of [`parts`].
pub fn join(parts: &[&[u8]]) -> Vec<u8> {
    parts.join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn parts_are_what_was_joined() {
        let joined = join(&[b"one", b"", b"three"]);
        assert_eq!(parts::<3>(&joined), [&b"one"[..], b"", b"three"]);
        assert_eq!(parts::<2>(&joined), [&b"one"[..], b"\n----\nthree"]);
        assert_eq!(parts::<3>(b"one"), [&b"one"[..], b"", b""]);
    }

    #[test]
    fn targets_have_unique_names_and_a_libfuzzer_twin() {
        let names: BTreeSet<_> = TARGETS.iter().map(|(name, ..)| *name).collect();
        assert_eq!(names.len(), TARGETS.len());
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz");
        let manifest = std::fs::read_to_string(format!("{folder}/Cargo.toml")).expect("fuzz/ exists");
        for name in names {
            assert!(manifest.contains(&format!("name = \"{name}\"\n")), "run fuzz/add {name}");
            let twin = std::fs::read_to_string(format!("{folder}/fuzz_targets/{name}.rs"));
            let twin = twin.unwrap_or_else(|error| panic!("run fuzz/add {name}: {error}"));
            assert!(twin.contains(&format!("\"{name}\"")), "fuzz/fuzz_targets/{name}.rs runs another target");
        }
    }
}
