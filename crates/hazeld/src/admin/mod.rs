//! The operator's surface: the listener of a running mint, its tokens, and the commands that ask it.
//!
//! What it answers is in `hazel-http`. The commands speak HTTP to a mint that runs; nothing here opens a database.

mod call;
mod show;
mod tokens;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hazel_http::server::{AdminConfig, AdminToken, ListenConfig, admin_router, serve};
use hazel_mint::Mint;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::cli::{AdminArgs, KeysetCommand};
use crate::config::AdminListener;
use crate::failure::Failure;
use crate::import;
use call::Target;

/// The token file of `hazeld dev`, in its data folder.
pub(crate) const DEV_TOKEN_FILE: &str = "admin-token";
/// Where `hazeld dev` writes the address of its operator's surface, in its data folder.
pub(crate) const DEV_URL_FILE: &str = "admin-url";

/// Connections at a time; operators are few.
const MAX_CONNECTIONS: usize = 32;
/// How long requests in flight may take to finish at shutdown.
const DRAIN: Duration = Duration::from_secs(2);

/// Keysets asked for at a time.
const PAGE: u64 = 1_000;

/// A listener that is bound, and who is let in.
pub(crate) struct Surface {
    listener: TcpListener,
    tokens: Vec<AdminToken>,
    url_file: Option<PathBuf>,
}

/// Stops the listener when dropped.
pub(crate) struct Serving {
    _stop: oneshot::Sender<()>,
    url_file: Option<PathBuf>,
}

impl Surface {
    /// Reads or makes the tokens and binds the address; `None` when there is to be no surface.
    pub(crate) async fn open(config: Option<&AdminListener>) -> Result<Option<Self>, Failure> {
        let Some(AdminListener { listen, token_file, url_file }) = config else { return Ok(None) };
        let tokens = tokens::obtain(token_file)?;
        let failed = |reason| Failure::Listen { address: *listen, reason };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        if let Some(file) = url_file {
            std::fs::write(file, format!("http://{bound}\n"))
                .map_err(|error| Failure::Internal(format!("cannot write {}: {error}", file.display())))?;
        }
        tracing::info!(address = %bound, "the operator's surface listens");
        Ok(Some(Self { listener, tokens, url_file: url_file.clone() }))
    }

    /// Serves until what is returned is dropped.
    pub(crate) fn serve(self, mint: Arc<Mint>) -> Serving {
        let (stop, stopped) = oneshot::channel::<()>();
        let router = admin_router(mint, AdminConfig { tokens: self.tokens });
        let connections = ListenConfig { max_connections: MAX_CONNECTIONS, drain: DRAIN, ..ListenConfig::default() };
        tokio::spawn(serve(self.listener, router, connections, async {
            // Both a message and a dropped sender mean stop.
            let _ = stopped.await;
        }));
        Serving { _stop: stop, url_file: self.url_file }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // A file that stays names an address where nobody listens any more.
        let _ = self.url_file.as_ref().map(std::fs::remove_file);
    }
}

/// `hazeld keyset`.
pub(crate) fn keyset(command: KeysetCommand) -> Result<(), Failure> {
    match command {
        KeysetCommand::List(at) => list(&at),
        KeysetCommand::Rotate { at, unit, input_fee_ppk, denominations, final_expiry } => {
            let body = json!({
                "unit": unit,
                "input_fee_ppk": input_fee_ppk,
                "denominations": denominations,
                "final_expiry": final_expiry,
            });
            let made = Target::of(&at)?.post("/v1/admin/keysets/rotate", &body)?;
            say(&at, &made, || show::keysets(std::slice::from_ref(&made)))
        }
        KeysetCommand::Import(args) => import::run(&args),
        KeysetCommand::Meter { at, id, carried } => change(&at, &id, "meter", &json!({ "carried": carried })),
        KeysetCommand::Stop(args) => change(&args.at, &args.id, "stop", &json!({ "reason": args.reason })),
        KeysetCommand::Allow(args) => change(&args.at, &args.id, "allow", &json!({ "reason": args.reason })),
    }
}

/// Every page, so that no keyset is left out.
fn list(at: &AdminArgs) -> Result<(), Failure> {
    let target = Target::of(at)?;
    let mut keysets: Vec<Value> = Vec::new();
    loop {
        let page = target.get(&format!("/v1/admin/keysets?limit={PAGE}&skip={}", keysets.len()))?;
        let list = page["keysets"].as_array().cloned().unwrap_or_default();
        if list.is_empty() {
            break;
        }
        keysets.extend(list);
    }
    say(at, &json!({ "keysets": keysets }), || show::keysets(&keysets))
}

/// Has one keyset changed, and shows it.
fn change(at: &AdminArgs, id: &str, how: &str, body: &Value) -> Result<(), Failure> {
    if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(Failure::Usage(format!("'{}' is no keyset id", show::plain(id))));
    }
    let path = format!("/v1/admin/keysets/{id}/{how}");
    let keyset = Target::of(at)?.post(&path, body)?;
    say(at, &keyset, || show::keysets(std::slice::from_ref(&keyset)))
}

/// `hazeld audit`.
pub(crate) fn audit(at: &AdminArgs, before: Option<u64>, limit: u32) -> Result<(), Failure> {
    let before = before.map(|before| format!("&before={before}")).unwrap_or_default();
    let page = Target::of(at)?.get(&format!("/v1/admin/audit?limit={limit}{before}"))?;
    say(at, &page, || show::audit(page["audit"].as_array().map_or(&[], Vec::as_slice)))
}

fn say(at: &AdminArgs, answer: &Value, table: impl FnOnce() -> String) -> Result<(), Failure> {
    let text = if at.json { format!("{answer}\n") } else { table() };
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| Failure::Internal(format!("cannot write to standard output: {error}")))
}
