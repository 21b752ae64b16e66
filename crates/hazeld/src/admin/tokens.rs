//! The token file: lines of a name and a secret, readable by its owner only.

use std::path::Path;

use hazel_http::server::AdminToken;
use zeroize::Zeroizing;

use crate::failure::Failure;
use crate::private;
use crate::seed;

/// The longest token file, in bytes.
const MAX_FILE_BYTES: usize = 8_192;
/// What the file is called in messages.
const WHAT: &str = "token file";
/// Bytes of randomness in a secret that is made here.
const SECRET_BYTES: usize = 32;
/// Who the token that is made here belongs to.
const DEFAULT_NAME: &str = "operator";

/// Everyone who is let in; with one token made when there is no file.
pub(super) fn obtain(path: &Path) -> Result<Vec<AdminToken>, Failure> {
    if !path.exists() {
        create(path)?;
        tracing::info!(file = %path.display(), "made a token for the operator's surface");
    }
    let text = read(path)?;
    let mut tokens: Vec<AdminToken> = Vec::new();
    for (name, secret) in lines(path, &text)? {
        let token = AdminToken::new(name, secret).map_err(|error| wrong(path, &error.to_string()))?;
        if tokens.iter().any(|other| other.name() == token.name()) {
            return Err(wrong(path, "a name is there twice"));
        }
        tokens.push(token);
    }
    Ok(tokens)
}

/// The first secret of the file, for asking a mint.
pub(super) fn first_secret(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let text = read(path)?;
    let (_, secret) = lines(path, &text)?[0];
    Ok(Zeroizing::new(secret.to_owned()))
}

/// Name and secret of each line; at least one.
fn lines<'a>(path: &Path, text: &'a str) -> Result<Vec<(&'a str, &'a str)>, Failure> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = |line: &'a str| line.split_once(' ').map(|(name, secret)| (name, secret.trim()));
    let pairs: Option<Vec<_>> = lines.map(split).collect();
    pairs.filter(|pairs| !pairs.is_empty()).ok_or_else(|| wrong(path, "each line is a name and a secret"))
}

fn create(path: &Path) -> Result<(), Failure> {
    let mut random = Zeroizing::new([0; SECRET_BYTES]);
    getrandom::fill(random.as_mut_slice())
        .map_err(|error| Failure::Internal(format!("the operating system gives no randomness: {error}")))?;
    let mut text = Zeroizing::new(format!("{DEFAULT_NAME} "));
    for byte in random.iter() {
        for digit in [byte >> 4, byte & 0x0f] {
            text.push(char::from_digit(u32::from(digit), 16).expect("a digit is below 16"));
        }
    }
    text.push('\n');
    seed::publish(path, text.as_bytes()).map_err(|error| wrong(path, &error.to_string()))
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    private::read(WHAT, path, MAX_FILE_BYTES)
}

fn wrong(path: &Path, why: &str) -> Failure {
    private::wrong(WHAT, path, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(path: &Path, text: &str) {
        std::fs::write(path, text).expect("written");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).expect("set");
        }
    }

    #[test]
    fn a_token_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        assert_eq!(obtain(&path).expect("made")[0].name(), "operator");
        let secret = first_secret(&path).expect("read");
        assert_eq!(secret.len(), 64);
        obtain(&path).expect("read again");
        assert_eq!(first_secret(&path).expect("read"), secret);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
            assert!(obtain(&path).expect_err("exposed").to_string().contains("chmod 600"));
        }
    }

    #[test]
    fn what_is_no_token_file_is_refused_without_showing_it() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("token");
        let good = "alice 0123456789abcdef0123456789abcdef";
        put(&path, &format!("# operators\n\n{good}\nbob  fedcba9876543210fedcba9876543210\n"));
        assert_eq!(obtain(&path).expect("two").iter().map(AdminToken::name).collect::<Vec<_>>(), ["alice", "bob"]);
        let twice = format!("{good}\n{good}\n");
        let long = good.repeat(300);
        for text in ["", "alice", "alice short", "Alice 0123456789abcdef0123456789abcdef", &twice, &long] {
            put(&path, text);
            let error = obtain(&path).expect_err("refused").to_string();
            assert!(!error.contains("0123"), "{error}");
        }
    }
}
