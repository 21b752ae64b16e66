//! The lease that says that this process lives, on the database's clock.
//!
//! It runs for ten seconds and is renewed every two. One that has run out is never renewed: from then on others may take over what its owner
//! held, so the owner must not act on what it believes to hold. It is told by [`Lease::lost`], and its writer refuses every change. What was under
//! way in it is refused by the ledger itself: the row of an operation that was taken over has another owner.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hazel_mint::ports::OwnerId;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::sql;
use crate::fault::describe;
use crate::session::Session;
use crate::settings::Settings;

/// How long a lease runs; the statements say the same.
const LEASE: Duration = Duration::from_secs(10);
/// The pause between two renewals.
const HEARTBEAT: Duration = Duration::from_secs(2);
/// How long one renewal may take before another is tried on a new connection.
const PATIENCE: Duration = Duration::from_secs(3);

const _: () = assert!(LEASE.as_secs() >= 4 * HEARTBEAT.as_secs(), "a few renewals may fail");

/// What the rest of the store asks of the lease.
#[derive(Clone)]
pub(super) struct Lease {
    /// When it runs out unless it is renewed, by this process's clock and never later than by the database's; `None` before there is one.
    until: Arc<Mutex<Option<Instant>>>,
    /// Why it is lost, once it is.
    lost: watch::Sender<Option<String>>,
}

impl Lease {
    /// No lease yet: nothing is owned, and nothing need be refused.
    pub(super) fn none() -> Self {
        Self { until: Arc::default(), lost: watch::Sender::new(None) }
    }

    /// Takes out a lease for `owner` and keeps it until the store is dropped.
    pub(super) async fn take_out(&self, settings: Settings, owner: OwnerId) -> Result<(), String> {
        let session = Session::open(&settings).await.map_err(|error| error.to_string())?;
        let asked = Instant::now();
        let id = owner.as_bytes().as_slice();
        session.run(sql::FORGET_INSTANCES, &[]).await.map_err(|error| describe(&error))?;
        session.run(sql::ENLIST, &[&id]).await.map_err(|error| describe(&error))?;
        self.extend(asked);
        // The handle of the task is not kept: it ends when nobody holds the lease any more.
        drop(tokio::spawn(keep(self.weak(), settings, session, owner)));
        Ok(())
    }

    /// Why nothing may be written: the lease has run out, or is found lost.
    pub(super) fn refusal(&self) -> Option<String> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        let has_run_out = until.is_some_and(|until| until <= Instant::now());
        self.lost.borrow().clone().or_else(|| has_run_out.then(|| "the lease of this process has run out".to_owned()))
    }

    /// Completes, with the reason, when the lease is lost for good and the process should end.
    pub(super) async fn lost(&self) -> String {
        let mut lost = self.lost.subscribe();
        let reason = lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        // The sender is ours, so there is always a reason.
        reason.unwrap_or_else(|| "the lease is gone".to_owned())
    }

    /// It was renewed by a statement that was sent at `asked`, so it runs at least this long.
    fn extend(&self, asked: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = Some(asked + LEASE);
    }

    fn weak(&self) -> Weak {
        Weak { until: Arc::downgrade(&self.until), lost: self.lost.clone() }
    }
}

/// The lease as the task sees it that renews it.
struct Weak {
    until: std::sync::Weak<Mutex<Option<Instant>>>,
    lost: watch::Sender<Option<String>>,
}

/// Renews the lease until it is lost or nobody needs it.
async fn keep(lease: Weak, settings: Settings, session: Session, owner: OwnerId) {
    let mut session = Some(session);
    loop {
        sleep(HEARTBEAT).await;
        let Some(until) = lease.until.upgrade() else { return };
        let held = Lease { until, lost: lease.lost.clone() };
        let asked = Instant::now();
        match timeout(PATIENCE, renew(&mut session, &settings, owner)).await {
            Ok(Ok(1)) => held.extend(asked),
            Ok(Ok(_)) => {
                held.lost.send_replace(Some("the lease of this process has run out".to_owned()));
                tracing::error!(%owner, "the lease has run out; others take over");
                return;
            }
            Ok(Err(why)) => {
                session = None;
                tracing::warn!(%owner, why, "the lease is not renewed");
            }
            Err(_) => {
                session = None;
                tracing::warn!(%owner, "the lease is not renewed in time");
            }
        }
    }
}

/// How many leases were renewed: one, or none when it has run out.
async fn renew(session: &mut Option<Session>, settings: &Settings, owner: OwnerId) -> Result<u64, String> {
    let open = match session.take().filter(|session| !session.is_closed()) {
        Some(open) => open,
        None => Session::open(settings).await.map_err(|error| error.to_string())?,
    };
    let renewed = open.run(sql::RENEW, &[&owner.as_bytes().as_slice()]).await.map_err(|error| describe(&error))?;
    *session = Some(open);
    Ok(renewed)
}
