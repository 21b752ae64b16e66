//! The words that a wallet's money can be found again by.
//!
//! They live in a file of their own that only its owner can read, as they are or under a passphrase. A new seed is never made beside a database that has
//! one already, words are never taken from the command line, and they are shown only when asked for.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::Path;

use bip39::{Language, Mnemonic};
use hazel_wallet::Seed;
use zeroize::Zeroizing;

use crate::failure::{Failure, Kind};
use crate::folder::{Folder, create_private, failed, replace_private};
use crate::passphrase::{Passphrase, Source};
use crate::sealed::{self, Unopened};

/// 128 bits make 12 words.
const ENTROPY_BYTES: usize = 16;

/// The longest text that is read for words, in bytes: 24 words of at most 8 letters fit many times.
const MAX_TEXT_BYTES: u64 = 4_096;

/// Whether the wallet has a seed.
pub(crate) fn exists(folder: &Folder) -> bool {
    folder.seed().exists()
}

/// The seed of the wallet.
pub(crate) fn read(folder: &Folder, passphrase: Option<&Passphrase>) -> Result<Seed, Failure> {
    Ok(Seed::from_mnemonic(&words(folder, passphrase)?, ""))
}

/// Whether the words are under a passphrase.
pub(crate) fn is_sealed(folder: &Folder) -> Result<bool, Failure> {
    Ok(sealed::is_sealed(&text(folder)?))
}

/// The passphrase of the wallet, if its words are under one.
pub(crate) async fn passphrase(folder: &Folder, source: &Source) -> Result<Option<Passphrase>, Failure> {
    if is_sealed(folder)? { source.known().await.map(Some) } else { Ok(None) }
}

fn text(folder: &Folder) -> Result<Zeroizing<String>, Failure> {
    let path = folder.seed();
    let file = File::open(&path).map_err(failed("open the seed file", &path))?;
    refuse_exposed(&path, &file)?;
    read_text(file).map_err(failed("read the seed file", &path))
}

/// The words of the wallet, to be shown.
pub(crate) fn words(folder: &Folder, passphrase: Option<&Passphrase>) -> Result<Mnemonic, Failure> {
    let path = folder.seed();
    let text = text(folder)?;
    let text = match passphrase {
        Some(passphrase) if sealed::is_sealed(&text) => {
            sealed::open(&text, passphrase).map_err(|why| unopened(why, &path))?
        }
        _ => text,
    };
    parse(&text).ok_or_else(|| {
        Failure::new(Kind::Wallet, format!("the seed file {} does not hold BIP-39 words", path.display()))
            .hint("put the words that you wrote down back into it")
    })
}

fn unopened(why: Unopened, path: &Path) -> Failure {
    match why {
        Unopened::WrongPassphrase => Failure::new(Kind::Passphrase, "this is not the passphrase of the wallet")
            .hint("without it the words that you wrote down still open a new wallet: `hazel init --from-words -`"),
        Unopened::Malformed => Failure::new(Kind::Wallet, format!("the seed file {} is damaged", path.display()))
            .hint("put the words that you wrote down back into it"),
    }
}

/// Makes a seed for a wallet that has none.
pub(crate) fn create(folder: &Folder, passphrase: Option<&Passphrase>) -> Result<(), Failure> {
    let mut entropy = Zeroizing::new([0; ENTROPY_BYTES]);
    getrandom::fill(entropy.as_mut_slice())
        .map_err(|error| Failure::new(Kind::Wallet, format!("the operating system gives no randomness: {error}")))?;
    let words = Mnemonic::from_entropy_in(Language::English, entropy.as_slice())
        .expect("16 bytes are a length that BIP-39 knows");
    store(folder, &words, passphrase)
}

/// Gives a wallet that has no seed the one of these words.
pub(crate) fn adopt(folder: &Folder, from: &Path, passphrase: Option<&Passphrase>) -> Result<(), Failure> {
    let text = if from == Path::new("-") {
        words_from_stdin()?
    } else {
        File::open(from).and_then(read_text).map_err(failed("read the words in", from))?
    };
    let words = parse(&text).ok_or_else(|| {
        Failure::new(Kind::Refused, "these are not 12 to 24 BIP-39 words with a right checksum")
            .hint("check the spelling and the order; the words are English, with spaces between them")
    })?;
    store(folder, &words, passphrase)
}

/// Puts the words of a wallet under another passphrase, or under none.
pub(crate) fn reseal(folder: &Folder, words: &Mnemonic, passphrase: Option<&Passphrase>) -> Result<(), Failure> {
    let text = written(words, passphrase)?;
    let path = folder.seed();
    replace_private(&path, text.as_bytes()).map_err(failed("write the seed file", &path))
}

fn store(folder: &Folder, words: &Mnemonic, passphrase: Option<&Passphrase>) -> Result<(), Failure> {
    let path = folder.seed();
    if folder.database().exists() {
        return Err(Failure::new(
            Kind::Wallet,
            format!("the wallet in {} has money but no seed file", folder.path().display()),
        )
        .hint(format!("put its words back into {}; a new seed would not be its own", path.display())));
    }
    let text = written(words, passphrase)?;
    folder.make()?;
    match create_private(&path, text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Err(already_there(folder)),
        written => written.map_err(failed("write the seed file", &path)),
    }
}

/// The words as the file holds them.
fn written(words: &Mnemonic, passphrase: Option<&Passphrase>) -> Result<Zeroizing<String>, Failure> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    for word in words.words() {
        text.push_str(word);
        text.push(' ');
    }
    text.pop();
    text.push('\n');
    let Some(passphrase) = passphrase else { return Ok(text) };
    let sealed = sealed::seal(&text, passphrase);
    sealed.map(Zeroizing::new).map_err(|why| Failure::new(Kind::Wallet, format!("the words cannot be sealed: {why}")))
}

/// The wallet has a seed.
pub(crate) fn already_there(folder: &Folder) -> Failure {
    Failure::new(Kind::Refused, format!("the wallet in {} has a seed already", folder.path().display()))
        .hint("use another folder for another seed: `--wallet DIR`")
}

/// Refuses a file that anybody but its owner can read.
fn refuse_exposed(path: &Path, file: &File) -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(failed("look at the seed file", path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(Failure::new(Kind::Wallet, format!("the seed file {} can be read by others", path.display()))
                .hint(format!(
                    "`chmod 600 {}`; if somebody may have seen it, move the money to a new wallet",
                    path.display()
                )));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, file);
    Ok(())
}

fn read_text(source: impl Read) -> io::Result<Zeroizing<String>> {
    // Room for the longest text up front: growing would leave copies of the words behind.
    let capacity = usize::try_from(MAX_TEXT_BYTES + 1).map_err(io::Error::other)?;
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    source.take(MAX_TEXT_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// One line when a person types it, else all there is.
fn words_from_stdin() -> Result<Zeroizing<String>, Failure> {
    let stdin = io::stdin();
    let text = if stdin.is_terminal() {
        let capacity = usize::try_from(MAX_TEXT_BYTES).map_err(io::Error::other);
        let mut line = Zeroizing::new(String::with_capacity(capacity.unwrap_or_default()));
        stdin.read_line(&mut line).map(|_| line)
    } else {
        read_text(stdin.lock())
    };
    text.map_err(|error| Failure::new(Kind::Usage, format!("the words cannot be read from standard input: {error}")))
}

fn parse(text: &Zeroizing<String>) -> Option<Mnemonic> {
    let lower = Zeroizing::new(text.to_ascii_lowercase());
    Mnemonic::parse_in(Language::English, lower.trim()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &str = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about";

    fn folder(home: &tempfile::TempDir) -> Folder {
        Folder::new(Some(&home.path().join("wallet"))).expect("named")
    }

    #[test]
    fn a_new_seed_has_twelve_words_and_stands() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = folder(&home);
        assert!(!exists(&folder));
        create(&folder, None).expect("made");
        let first = words(&folder, None).expect("words");
        assert_eq!(first.word_count(), 12);
        assert_eq!(create(&folder, None).expect_err("exists").kind, Kind::Refused);
        assert_eq!(words(&folder, None).expect("words"), first);
    }

    #[test]
    fn words_are_taken_from_a_file_as_people_write_them() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = folder(&home);
        let paper = home.path().join("paper");
        std::fs::write(&paper, format!("  {}\n", WORDS.to_uppercase().replace("ABOUT", "\nabout"))).expect("written");
        adopt(&folder, &paper, None).expect("adopted");
        assert_eq!(words(&folder, None).expect("words").to_string(), WORDS);
    }

    #[test]
    fn what_is_no_seed_is_refused_without_showing_it() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = folder(&home);
        let paper = home.path().join("paper");
        std::fs::write(&paper, WORDS.replace("about", "zebra")).expect("written");
        let error = adopt(&folder, &paper, None).expect_err("a wrong checksum");
        assert!(!format!("{error:?}").contains("zebra"));
        assert!(!exists(&folder));
    }

    #[test]
    fn a_seed_is_not_made_beside_money_of_another() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = folder(&home);
        folder.make().expect("made");
        std::fs::write(folder.database(), "x").expect("written");
        assert_eq!(create(&folder, None).expect_err("refused").kind, Kind::Wallet);
    }

    #[cfg(unix)]
    #[test]
    fn a_seed_that_others_can_read_is_refused() {
        use std::os::unix::fs::PermissionsExt;
        let home = tempfile::tempdir().expect("a folder");
        let folder = folder(&home);
        create(&folder, None).expect("made");
        std::fs::set_permissions(folder.seed(), std::fs::Permissions::from_mode(0o640)).expect("set");
        assert_eq!(words(&folder, None).expect_err("exposed").kind, Kind::Wallet);
    }
}
