//! A thread of its own for the ledger file, since SQLite blocks.

use std::fmt;
use std::sync::mpsc;

use tokio::sync::oneshot;

use super::books::Books;
use super::error::FakeError;

type Job = Box<dyn FnOnce(&mut Books) + Send>;

/// Runs jobs on the ledger one after the other. The thread ends when this is dropped.
pub(super) struct Worker {
    jobs: mpsc::Sender<Job>,
}

impl fmt::Debug for Worker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worker").finish_non_exhaustive()
    }
}

impl Worker {
    pub(super) fn start(mut books: Books) -> Result<Self, FakeError> {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new().name("fake-lightning".into()).spawn(move || {
            for job in queue {
                job(&mut books);
            }
        })?;
        Ok(Self { jobs })
    }

    /// Runs `job` to its end, also when the caller stops waiting.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Books) -> Result<T, FakeError> + Send + 'static,
    ) -> Result<T, FakeError> {
        let (done, result) = oneshot::channel();
        let job: Job = Box::new(move |books| {
            // The receiver is gone only when its caller was dropped; then nobody wants the result.
            let _ = done.send(job(books));
        });
        self.jobs.send(job).map_err(|_| gone())?;
        result.await.map_err(|_| gone())?
    }
}

fn gone() -> FakeError {
    FakeError::Io(std::io::Error::other("its thread has ended"))
}
