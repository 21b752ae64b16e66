//! The real process with a configuration of its own.

use std::path::{Path, PathBuf};

use hazel_lightning::fake::{FakeLedger, open_ledger};
use tempfile::TempDir;

use super::{Api, Hazeld, Launch};

/// Longer than any test, in ms.
pub(crate) const NEVER_MS: u64 = 24 * 3_600 * 1_000;

/// A mint run from a configuration of its own.
pub(crate) struct Server {
    pub(crate) folder: TempDir,
    pub(crate) mint: Hazeld,
}

impl Server {
    /// Starts one with these lines in the sections of its configuration, and these further sections.
    pub(crate) fn start(in_mint: &str, in_lightning: &str, sections: &str) -> Self {
        Self::start_configured(&configuration(in_mint, in_lightning, sections), &[])
    }

    /// The same, with settings from the environment.
    pub(crate) fn start_with(in_lightning: &str, sections: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_configured(&configuration("", in_lightning, sections), environment)
    }

    fn start_configured(configuration: &str, environment: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let seed = folder.path().join("seed");
        assert!(Launch::hazeld(&["seed", "new", "--file"]).arg(&seed).output().status.success());
        let path = folder.path().join("hazeld.toml");
        std::fs::write(&path, configuration).expect("written");
        let launch = Launch::hazeld(&["start", "--config"]).arg(&path).on_database_of(folder.path());
        let mint = environment.iter().fold(launch, |launch, (name, value)| launch.env(name, value)).start();
        Self { folder, mint }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("mint.sqlite")
    }

    /// A view of its Lightning node, by which a test bends it.
    pub(crate) fn node(&self) -> FakeLedger {
        open_ledger(self.folder.path().join("lightning.sqlite")).expect("the node's file opens")
    }

    pub(crate) fn api(&self) -> Api {
        Api::new(self.mint.url())
    }
}

fn configuration(in_mint: &str, in_lightning: &str, sections: &str) -> String {
    format!(
        r#"
        {sections}
        [mint]
        name = "test"
        {in_mint}
        [http]
        listen = "127.0.0.1:0"
        [database]
        url = "sqlite:mint.sqlite"
        [seed]
        file = "seed"
        [lightning]
        backend = "fake"
        i_know_this_is_not_real_money = true
        reserve_min_msat = 0
        reserve_ppm = 0
        pay_after_ms = 0
        {in_lightning}
        "#
    )
}

/// Has a running `hazeld dev` sign with a new keyset for sat.
pub(crate) fn rotate(folder: &Path) {
    let done = Launch::hazeld(&["keyset", "rotate", "--unit", "sat", "--data-dir"]).arg(folder).output();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}
