//! Where the passphrase of a seed comes from: the terminal, a file, a descriptor or the environment; never the command line,
//! which other users of the machine can see.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::failure::{Failure, Kind};
use crate::folder::failed;

/// The longest passphrase, in bytes.
const MAX_PASSPHRASE_BYTES: usize = 1_024;

/// What opens a sealed seed.
pub(crate) struct Passphrase(Zeroizing<String>);

impl std::fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Passphrase(..)")
    }
}

impl Passphrase {
    /// The bytes that the key is made of.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }

    /// Takes the text without the end of its line.
    ///
    /// # Errors
    /// [`Kind::Usage`] for none, or one that is too long.
    pub(crate) fn new(text: &Zeroizing<String>) -> Result<Self, Failure> {
        let line = text.trim_end_matches(['\r', '\n']);
        if line.is_empty() {
            return Err(Failure::new(Kind::Usage, "the passphrase is empty"));
        }
        if line.len() > MAX_PASSPHRASE_BYTES {
            return Err(Failure::new(
                Kind::Usage,
                format!("the passphrase is longer than {MAX_PASSPHRASE_BYTES} bytes"),
            ));
        }
        Ok(Self(Zeroizing::new(line.to_owned())))
    }
}

/// Where the passphrase is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Source {
    /// A file.
    pub(crate) file: Option<PathBuf>,
    /// The number of an open file.
    pub(crate) fd: Option<u32>,
    /// The name of a variable of the environment.
    pub(crate) env: Option<String>,
}

impl Source {
    /// Whether nobody has to be asked.
    pub(crate) const fn is_named(&self) -> bool {
        self.file.is_some() || self.fd.is_some() || self.env.is_some()
    }

    /// The passphrase of a seed that is there.
    pub(crate) async fn known(&self) -> Result<Passphrase, Failure> {
        match self.named()? {
            Some(passphrase) => Ok(passphrase),
            None => typed("Passphrase of the wallet: ").await,
        }
    }

    /// A passphrase to be set; whoever types it does so twice.
    pub(crate) async fn new_one(&self) -> Result<Passphrase, Failure> {
        if let Some(passphrase) = self.named()? {
            return Ok(passphrase);
        }
        let first = typed("New passphrase: ").await?;
        let second = typed("The same again: ").await?;
        if first.as_bytes() != second.as_bytes() {
            return Err(Failure::new(Kind::Declined, "the two differ, so nothing was done"));
        }
        Ok(first)
    }

    fn named(&self) -> Result<Option<Passphrase>, Failure> {
        let text = match self {
            Self { file: Some(path), .. } => read(path)?,
            Self { fd: Some(fd), .. } => from_descriptor(*fd)?,
            Self { env: Some(name), .. } => from_environment(name)?,
            _ => return Ok(None),
        };
        Passphrase::new(&text).map(Some)
    }
}

fn from_descriptor(fd: u32) -> Result<Zeroizing<String>, Failure> {
    if cfg!(unix) {
        return read(&PathBuf::from(format!("/dev/fd/{fd}")));
    }
    Err(Failure::new(Kind::Usage, "this system has no numbers for open files").hint("use a file"))
}

fn from_environment(name: &str) -> Result<Zeroizing<String>, Failure> {
    let missing = |_| Failure::new(Kind::Usage, format!("the variable {name} is not set, or is no text"));
    std::env::var(name).map(Zeroizing::new).map_err(missing)
}

fn read(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let file = File::open(path).map_err(failed("open", path))?;
    refuse_exposed(path, &file)?;
    // One byte and an end of line more than may be, so that a longer one is refused and not cut.
    let room = MAX_PASSPHRASE_BYTES + 3;
    let mut text = Zeroizing::new(String::with_capacity(room));
    let limit = u64::try_from(room).map_err(|error| failed("read", path)(io::Error::other(error)))?;
    file.take(limit).read_to_string(&mut text).map_err(failed("read", path))?;
    Ok(text)
}

/// Refuses a file on a disk that anybody but its owner can read; a pipe has no others.
fn refuse_exposed(path: &Path, file: &File) -> Result<(), Failure> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let metadata = file.metadata().map_err(failed("look at", path))?;
        if metadata.is_file() && metadata.permissions().mode() & 0o077 != 0 {
            return Err(Failure::new(
                Kind::Wallet,
                format!("the passphrase in {} can be read by others", path.display()),
            )
            .hint(format!("`chmod 600 {}`", path.display())));
        }
    }
    #[cfg(not(unix))]
    let _ = (path, file);
    Ok(())
}

/// Asks on the terminal, which does not show what is typed.
async fn typed(prompt: &'static str) -> Result<Passphrase, Failure> {
    let asked = tokio::task::spawn_blocking(move || rpassword::prompt_password(prompt).map(Zeroizing::new)).await;
    let text = asked.map_err(io::Error::other).and_then(|read| read).map_err(|error| {
        Failure::new(Kind::Passphrase, format!("the wallet has a passphrase, and nobody can be asked for it: {error}"))
            .hint("`--passphrase-file FILE`, `--passphrase-fd FD` or `--passphrase-env NAME`")
    })?;
    Passphrase::new(&text)
}
