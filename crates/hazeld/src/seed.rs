//! The BIP-39 words that every key of the mint comes from.
//!
//! Losing them or mixing them up loses everybody's money, so a seed is never made beside a ledger that has one already, a seed
//! file is written whole or not at all, and a file that strangers can read is refused.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bip39::{Language, Mnemonic};
use zeroize::Zeroizing;

use crate::config::SecretSource;

/// The longest seed file that is read, in bytes: 24 words of at most 8 letters fit many times.
const MAX_FILE_BYTES: u64 = 4_096;

/// 256 bits make 24 words.
const ENTROPY_BYTES: usize = 32;

/// The 64 bytes that BIP-39 makes of the words, without a passphrase.
pub(crate) type Seed = Zeroizing<[u8; 64]>;

/// Why there is no seed. Holds paths and names, never words.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SeedError {
    /// The file is not there.
    #[error("the seed file {} does not exist", .0.display())]
    Missing(PathBuf),
    /// The variable is not there, or is not text.
    #[error("the environment variable {0}, which should hold the seed, is not set")]
    NoVariable(String),
    /// The file cannot be read or written.
    #[error("the seed file {}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        reason: io::Error,
    },
    /// Others can read it.
    #[error("the seed file {} can be read by others: run chmod 600 on it", .0.display())]
    Exposed(PathBuf),
    /// It holds something else than BIP-39 words.
    #[error("{0} does not hold 12 to 24 BIP-39 words with a right checksum")]
    NotWords(String),
    /// A new seed would replace one.
    #[error("the seed file {} exists already", .0.display())]
    Exists(PathBuf),
    /// The operating system has no randomness.
    #[error("the operating system gives no randomness: {0}")]
    NoRandomness(getrandom::Error),
    /// The ledger has a history, so its seed is somewhere; a new one could not honour what it has signed.
    #[error(
        "the database {database} is not empty, but its seed file {} is missing: put the seed back. \
         A new seed could not honour the ecash that has been issued",
        seed.display()
    )]
    MissingBesideLedger {
        /// The ledger.
        database: String,
        /// Where its seed should be.
        seed: PathBuf,
    },
}

impl SeedError {
    fn io(path: &Path) -> impl Fn(io::Error) -> Self {
        move |reason| Self::Io { path: path.to_owned(), reason }
    }
}

/// Reads the seed from where the operator keeps it.
pub(crate) fn read(source: &SecretSource) -> Result<Seed, SeedError> {
    match source {
        SecretSource::File(path) => read_file(path),
        SecretSource::Variable(name) => {
            let text = std::env::var(name).map_err(|_| SeedError::NoVariable(name.clone()))?;
            parse(&Zeroizing::new(text), || format!("the environment variable {name}"))
        }
    }
}

fn read_file(path: &Path) -> Result<Seed, SeedError> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(SeedError::Missing(path.to_owned())),
        other => other.map_err(SeedError::io(path))?,
    };
    refuse_exposed(path, &file)?;
    // Room for the longest file up front: growing would leave copies of the words behind.
    let capacity = usize::try_from(MAX_FILE_BYTES + 1).expect("a few thousand fits every usize");
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(SeedError::io(path))?;
    parse(&text, || format!("the seed file {}", path.display()))
}

/// Refuses a file that users other than the owner and its group can read. A group is let through because secret stores hand
/// out files that way.
fn refuse_exposed(path: &Path, file: &File) -> Result<(), SeedError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = file.metadata().map_err(SeedError::io(path))?.permissions().mode();
        if mode & 0o007 != 0 {
            return Err(SeedError::Exposed(path.to_owned()));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, file);
    Ok(())
}

fn parse(text: &Zeroizing<String>, place: impl Fn() -> String) -> Result<Seed, SeedError> {
    let words = Mnemonic::parse_in(Language::English, text.trim()).map_err(|_| SeedError::NotWords(place()))?;
    Ok(Zeroizing::new(words.to_seed_normalized("")))
}

/// Makes a new seed in a file that does not exist yet: mode 0600, whole or not at all, durable with its folder's entry.
pub(crate) fn create(path: &Path) -> Result<(), SeedError> {
    let mut entropy = Zeroizing::new([0; ENTROPY_BYTES]);
    getrandom::fill(entropy.as_mut_slice()).map_err(SeedError::NoRandomness)?;
    let words = Mnemonic::from_entropy_in(Language::English, entropy.as_slice())
        .expect("32 bytes are a length that BIP-39 knows");
    let mut text = Zeroizing::new(words.to_string());
    text.push('\n');
    publish(path, text.as_bytes())
}

/// Writes `bytes` to a private file beside `path` and links it there, which fails when something has that name already.
pub(crate) fn publish(path: &Path, bytes: &[u8]) -> Result<(), SeedError> {
    let mut name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(format!(".{}.new", std::process::id()));
    let draft = path.with_file_name(name);
    let written = write_private(&draft, bytes).and_then(|()| std::fs::hard_link(&draft, path));
    let removed = std::fs::remove_file(&draft);
    match written {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(SeedError::Exists(path.to_owned())),
        other => other.map_err(SeedError::io(path))?,
    }
    removed.and_then(|()| sync_folder(path)).map_err(SeedError::io(path))
}

/// A file with these bytes, readable by its owner only, that outlives a power cut.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the entry of `path` in its folder outlive a power cut.
fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    // Folders can be opened and synced on Unix only.
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

/// Makes `folder` and its parents where they are missing; a new one is for its owner only.
pub(crate) fn private_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(folder)?;
    sync_folder(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("a folder")
    }

    #[test]
    fn a_new_seed_is_private_whole_and_read_back() {
        let folder = folder();
        let path = folder.path().join("deep").join("seed");
        private_folder(path.parent().expect("a parent")).expect("made");
        create(&path).expect("made");
        let text = std::fs::read_to_string(&path).expect("read");
        assert_eq!(text.split_whitespace().count(), 24);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
            assert_eq!(mode(&path), 0o600);
            assert_eq!(mode(path.parent().expect("a parent")), 0o700);
        }
        let first = read(&SecretSource::File(path.clone())).expect("a seed");
        let names: Vec<_> = std::fs::read_dir(path.parent().expect("a parent")).expect("listed").collect();
        assert_eq!(names.len(), 1, "no draft is left");
        assert!(matches!(create(&path), Err(SeedError::Exists(_))));
        let again = read(&SecretSource::File(path)).expect("a seed");
        assert_eq!(first.as_slice(), again.as_slice(), "the first seed stands");
    }

    #[test]
    fn words_give_the_seed_that_bip39_says() {
        let folder = folder();
        let path = folder.path().join("seed");
        let words = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about\n";
        write_private(&path, words.as_bytes()).expect("written");
        let seed = read(&SecretSource::File(path)).expect("a seed");
        assert_eq!(seed[..4], [0x5e, 0xb0, 0x0b, 0xbd]);
    }

    #[test]
    fn what_is_no_seed_is_refused_without_showing_it() {
        let folder = folder();
        let path = folder.path().join("seed");
        let source = SecretSource::File(path.clone());
        assert!(matches!(read(&source), Err(SeedError::Missing(_))));
        write_private(&path, b"abandon zebra swordfish").expect("written");
        let error = read(&source).expect_err("no words");
        assert!(!format!("{error} {error:?}").contains("zebra"));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("set");
            assert!(matches!(read(&source), Err(SeedError::Exposed(_))));
        }
        assert!(matches!(read(&SecretSource::Variable("HAZEL_NO_SUCH".into())), Err(SeedError::NoVariable(_))));
    }
}
