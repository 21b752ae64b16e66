//! The lease that says that this process lives, on the database's clock.
//!
//! It runs for ten seconds and is renewed every two. One that has run out is never renewed: from then on others may take over what its owner
//! held, so the owner must not act on what it believes to hold. It is told by [`Lease::lost`], and its writer refuses every change. What was under
//! way in it is refused by the ledger itself: the row of an operation that was taken over has another owner.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hazel_mint::ports::OwnerId;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::sql;
use crate::clock::since_boot;
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

/// What must be left of a lease for a payment to be sent: that much later the node has it, or never will.
const TO_PAY: Duration = Duration::from_secs(LEASE.as_secs() / 3 + 1);

/// A lease that was taken out.
#[derive(Clone, Copy)]
struct Held {
    owner: OwnerId,
    /// When it runs out unless it is renewed, by this machine's clock and never later than by the database's.
    until: Duration,
}

/// What the rest of the store asks of the lease.
#[derive(Clone)]
pub(super) struct Lease {
    /// `None` before there is one.
    held: Arc<Mutex<Option<Held>>>,
    /// Why it is lost, once it is.
    lost: watch::Sender<Option<String>>,
}

impl Lease {
    /// No lease yet: nothing is owned, and nothing need be refused.
    pub(super) fn none() -> Self {
        Self { held: Arc::default(), lost: watch::Sender::new(None) }
    }

    /// Takes out a lease for `owner` and keeps it until the store is dropped.
    pub(super) async fn take_out(&self, settings: Settings, owner: OwnerId) -> Result<(), String> {
        let session = Session::open(&settings).await.map_err(|error| error.to_string())?;
        let asked = since_boot();
        let id = owner.as_bytes().as_slice();
        session.run(sql::FORGET_INSTANCES, &[]).await.map_err(|error| describe(&error))?;
        session.run(sql::ENLIST, &[&id]).await.map_err(|error| describe(&error))?;
        self.extend(owner, asked);
        // The handle of the task is not kept: it ends when nobody holds the lease any more.
        drop(tokio::spawn(keep(self.weak(), settings, session, owner)));
        Ok(())
    }

    /// Ends the lease before its time. Nothing is written or paid under it from now on.
    pub(super) async fn give_back(&self, settings: &Settings) {
        self.lost.send_if_modified(|lost| lost.replace("the store is closed".to_owned()).is_none());
        let Some(Held { owner, .. }) = self.now() else { return };
        let given = async {
            let session = Session::open(settings).await.map_err(|error| error.to_string())?;
            session.run(sql::GIVE_BACK, &[&owner.as_bytes().as_slice()]).await.map_err(|error| describe(&error))
        };
        match timeout(PATIENCE, given).await {
            Ok(Ok(_)) => {}
            Ok(Err(why)) => tracing::warn!(%owner, why, "the lease is not given back and runs out by itself"),
            Err(_) => tracing::warn!(%owner, "the lease is not given back in time and runs out by itself"),
        }
    }

    /// Why nothing may be written: the lease has run out, or is found lost.
    pub(super) fn refusal(&self) -> Option<String> {
        let has_run_out = self.now().is_some_and(|held| held.until <= since_boot());
        self.lost.borrow().clone().or_else(|| has_run_out.then(|| "the lease of this process has run out".to_owned()))
    }

    /// Whether a payment may be sent: no other process can take its operation over before it has arrived.
    pub(super) fn has_time_to_pay(&self) -> bool {
        let has_time = self.now().is_none_or(|held| held.until > since_boot() + TO_PAY);
        has_time && self.lost.borrow().is_none()
    }

    /// Completes, with the reason, when the lease is lost for good and the process should end.
    pub(super) async fn lost(&self) -> String {
        let mut lost = self.lost.subscribe();
        let reason = lost.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        // The sender is ours, so there is always a reason.
        reason.unwrap_or_else(|| "the lease is gone".to_owned())
    }

    /// Whose lease it is; `None` before there is one.
    pub(super) fn owner(&self) -> Option<OwnerId> {
        self.now().map(|held| held.owner)
    }

    fn now(&self) -> Option<Held> {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It was renewed by a statement that was sent at `asked`, so it runs at least this long.
    fn extend(&self, owner: OwnerId, asked: Duration) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(Held { owner, until: asked + LEASE });
    }

    fn weak(&self) -> Weak {
        Weak { held: Arc::downgrade(&self.held), lost: self.lost.clone() }
    }
}

/// The lease as the task sees it that renews it.
struct Weak {
    held: std::sync::Weak<Mutex<Option<Held>>>,
    lost: watch::Sender<Option<String>>,
}

/// Renews the lease until it is lost or nobody needs it.
async fn keep(lease: Weak, settings: Settings, session: Session, owner: OwnerId) {
    let mut session = Some(session);
    loop {
        sleep(HEARTBEAT).await;
        let Some(held) = lease.held.upgrade() else { return };
        let held = Lease { held, lost: lease.lost.clone() };
        if held.lost.borrow().is_some() {
            return;
        }
        let asked = since_boot();
        match timeout(PATIENCE, renew(&mut session, &settings, owner)).await {
            Ok(Ok(1)) => held.extend(owner, asked),
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
