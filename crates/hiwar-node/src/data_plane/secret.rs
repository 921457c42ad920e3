//! Files that hold a secret of the operator's.

use std::path::PathBuf;

use zeroize::Zeroizing;

/// Largest file with a secret, in bytes.
const SECRET_BYTES_MAX: u64 = 16 * 1024;

/// Reads a secret that only its owner can read.
///
/// # Errors
/// Why it cannot be used; the message names the file and never its content.
pub(super) async fn read(file: PathBuf) -> Result<Zeroizing<String>, String> {
    let shown = file.display().to_string();
    let read = tokio::task::spawn_blocking(move || {
        let held = std::fs::metadata(&file)?;
        if held.len() > SECRET_BYTES_MAX {
            return Err(std::io::Error::other("the file is too large"));
        }
        #[cfg(unix)]
        if std::os::unix::fs::PermissionsExt::mode(&held.permissions()) & 0o077 != 0 {
            return Err(std::io::Error::other("others can read it; run chmod 600 on it"));
        }
        std::fs::read_to_string(&file).map(Zeroizing::new)
    });
    let fail = |why: String| unusable(&shown, &why);
    read.await.map_err(|e| fail(e.to_string()))?.map_err(|e| fail(e.to_string()))
}

/// What is said of a secret that is of no use.
pub(super) fn unusable(shown: &str, why: &str) -> String {
    format!("the secret in {shown} cannot be used: {why}")
}
