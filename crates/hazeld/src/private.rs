//! Files that hold secrets: read whole, refused when others can read them.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::failure::Failure;

/// Reads a private text file of at most `max_bytes`; `what` is its name in messages, which hold nothing of the text.
pub(crate) fn read(what: &str, path: &Path, max_bytes: usize) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: io::Error| wrong(what, path, &error.to_string());
    let file = File::open(path).map_err(failed)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        if file.metadata().map_err(failed)?.permissions().mode() & 0o007 != 0 {
            return Err(wrong(what, path, "others can read it: run chmod 600 on it"));
        }
    }
    // Room for the longest file up front: growing would leave copies of the secrets behind.
    let mut text = Zeroizing::new(String::with_capacity(max_bytes + 1));
    let most = u64::try_from(max_bytes + 1).map_err(|_| wrong(what, path, "it is too long"))?;
    let read = file.take(most).read_to_string(&mut text).map_err(failed)?;
    if read > max_bytes {
        return Err(wrong(what, path, "it is too long"));
    }
    Ok(text)
}

/// Something is wrong with a private file.
pub(crate) fn wrong(what: &str, path: &Path, why: &str) -> Failure {
    Failure::Usage(format!("the {what} {}: {why}", path.display()))
}
