//! The folder of a wallet and the private files in it.
//!
//! | file | holds |
//! |---|---|
//! | `seed` | the BIP-39 words; everything else can be found again by them |
//! | `wallet.sqlite` | the ecash, mints, operations, history |
//! | `preferences.json` | the default mint, and mints that are not trusted any more |

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::failure::{Failure, Kind};

/// The folder of one wallet.
#[derive(Debug, Clone)]
pub(crate) struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder that was named, or the usual one. Nothing is made yet.
    pub(crate) fn new(named: Option<&Path>) -> Result<Self, Failure> {
        match named {
            Some(path) => Ok(Self { path: path.to_owned() }),
            None => Ok(Self { path: data_folder()?.join("hazel").join("wallet") }),
        }
    }

    /// Makes the folder and its parents where they are missing; a new one is for its owner only.
    pub(crate) fn make(&self) -> Result<(), Failure> {
        if self.path.is_dir() {
            return Ok(());
        }
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::DirBuilderExt;
            builder.mode(0o700);
        }
        builder.create(&self.path).and_then(|()| sync_folder(&self.path)).map_err(failed("make the folder", &self.path))
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the seed words.
    pub(crate) fn seed(&self) -> PathBuf {
        self.path.join("seed")
    }

    /// The database.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join("wallet.sqlite")
    }

    /// The file of preferences.
    pub(crate) fn preferences(&self) -> PathBuf {
        self.path.join("preferences.json")
    }
}

/// The user's data folder as the platform has it.
fn data_folder() -> Result<PathBuf, Failure> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    // A relative XDG_DATA_HOME is invalid by its specification and ignored.
    if let Some(path) = set("XDG_DATA_HOME").filter(|path| path.is_absolute()) {
        return Ok(path);
    }
    let below_home = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    set("HOME").map(|home| home.join(below_home)).ok_or_else(|| {
        Failure::new(Kind::Usage, "there is no home folder to keep the wallet in").hint("name one: `--wallet DIR`")
    })
}

/// A failure of the wallet's own files, for use with `map_err`.
pub(crate) fn failed<'a>(what: &'a str, path: &'a Path) -> impl Fn(io::Error) -> Failure + 'a {
    move |error| Failure::new(Kind::Wallet, format!("cannot {what} {}: {error}", path.display()))
}

/// Makes a file with these bytes that is readable by its owner only, whole or not at all, and outlives a power cut.
///
/// # Errors
/// `AlreadyExists` when something has that name; it stays as it is.
pub(crate) fn create_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    with_draft(path, bytes, |draft| std::fs::hard_link(draft, path))?;
    sync_folder(parent(path))
}

/// As [`create_private`], but a file that has the name is replaced.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    with_draft(path, bytes, |draft| std::fs::rename(draft, path))?;
    sync_folder(parent(path))
}

/// Writes `bytes` to a file beside `path` that did not exist, has it published, and leaves no draft behind.
fn with_draft(path: &Path, bytes: &[u8], publish: impl Fn(&Path) -> io::Result<()>) -> io::Result<()> {
    let mut name = path.file_name().map(ToOwned::to_owned).unwrap_or_default();
    name.push(format!(".{}.new", std::process::id()));
    let draft = path.with_file_name(name);
    let published = write_new(&draft, bytes).and_then(|()| publish(&draft));
    match std::fs::remove_file(&draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => published.and(Err(error)),
        _ => published,
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
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

fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Makes the names in a folder outlive a power cut. Folders can be opened and synced on Unix only.
fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(folder)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_private_whole_and_never_overwritten_by_chance() {
        let home = tempfile::tempdir().expect("a folder");
        let folder = Folder::new(Some(&home.path().join("a").join("b"))).expect("named");
        folder.make().expect("made");
        folder.make().expect("there");
        create_private(&folder.seed(), b"one").expect("created");
        let again = create_private(&folder.seed(), b"two").expect_err("exists");
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(folder.seed()).expect("read"), b"one");
        replace_private(&folder.seed(), b"three").expect("replaced");
        assert_eq!(std::fs::read(folder.seed()).expect("read"), b"three");
        assert_eq!(std::fs::read_dir(folder.path()).expect("listed").count(), 1, "no draft is left");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| std::fs::metadata(path).expect("metadata").permissions().mode() & 0o777;
            assert_eq!((mode(&folder.seed()), mode(folder.path())), (0o600, 0o700));
        }
    }
}
