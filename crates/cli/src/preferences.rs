//! What the user prefers, in a small file beside the database.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use hazel_protocol::MintUrl;
use serde::{Deserialize, Serialize};

use crate::failure::{Failure, Kind};
use crate::folder::{failed, replace_private};

/// What the user prefers.
#[derive(Debug, Clone)]
pub(crate) struct Preferences {
    path: PathBuf,
    content: Content,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Content {
    /// The mint to deal with when none is named.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    default_mint: Option<MintUrl>,
    /// Mints that are not trusted any more. What the database knows of them stays: late money still finds its way in.
    #[serde(default)]
    removed_mints: BTreeSet<MintUrl>,
    /// How many of the wallet's keys were shown, to be locked to, beside the first.
    #[serde(default, skip_serializing_if = "is_zero")]
    more_keys: u32,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_zero(count: &u32) -> bool {
    *count == 0
}

impl Preferences {
    /// Reads the file; without one there are no preferences.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let content = match std::fs::read(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Content::default(),
            Err(error) => return Err(failed("read", path)(error)),
            Ok(bytes) => hazel_protocol::from_json(&bytes).map_err(|error| {
                Failure::new(Kind::Wallet, format!("{} is malformed: {error}", path.display()))
                    .hint("mend or remove it: it holds the default mint, the removed mints and the number of keys only")
            })?,
        };
        Ok(Self { path: path.to_owned(), content })
    }

    /// The mint to deal with when none is named.
    pub(crate) fn default_mint(&self) -> Option<&MintUrl> {
        self.content.default_mint.as_ref()
    }

    /// Whether the user stopped trusting the mint.
    pub(crate) fn is_removed(&self, url: &MintUrl) -> bool {
        self.content.removed_mints.contains(url)
    }

    /// Deals with this mint when none is named.
    pub(crate) fn set_default(&mut self, url: MintUrl) -> Result<(), Failure> {
        self.content.default_mint = Some(url);
        self.write()
    }

    /// Trusts a mint again.
    pub(crate) fn restore(&mut self, url: &MintUrl) -> Result<(), Failure> {
        if self.content.removed_mints.remove(url) { self.write() } else { Ok(()) }
    }

    /// Stops trusting a mint.
    pub(crate) fn remove(&mut self, url: &MintUrl) -> Result<(), Failure> {
        self.content.removed_mints.insert(url.clone());
        self.content.default_mint.take_if(|default| default == url);
        self.write()
    }

    /// How many of the wallet's keys are in use, to be locked to. A count, at least 1.
    pub(crate) fn key_count(&self) -> u32 {
        self.content.more_keys.saturating_add(1)
    }

    /// Takes one more key into use.
    pub(crate) fn add_key(&mut self) -> Result<(), Failure> {
        self.content.more_keys = self.content.more_keys.saturating_add(1);
        self.write()
    }

    fn write(&self) -> Result<(), Failure> {
        let text = serde_json::to_vec_pretty(&self.content)
            .map_err(|error| Failure::new(Kind::Bug, format!("the preferences cannot be written: {error}")))?;
        replace_private(&self.path, &text).map_err(failed("write", &self.path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_kept_and_a_damaged_file_is_no_empty_one() {
        let home = tempfile::tempdir().expect("a folder");
        let path = home.path().join("preferences.json");
        let url: MintUrl = "https://mint.example".parse().expect("a url");
        let mut preferences = Preferences::read(&path).expect("none yet");
        assert!(preferences.default_mint().is_none());
        preferences.set_default(url.clone()).expect("written");
        assert_eq!(Preferences::read(&path).expect("read").default_mint(), Some(&url));
        preferences.remove(&url).expect("written");
        let mut read = Preferences::read(&path).expect("read");
        assert!(read.is_removed(&url) && read.default_mint().is_none());
        read.restore(&url).expect("written");
        assert!(!Preferences::read(&path).expect("read").is_removed(&url));
        std::fs::write(&path, "{").expect("written");
        assert_eq!(Preferences::read(&path).expect_err("malformed").kind, Kind::Wallet);
    }
}
