//! The real world for the engine: the system's clock and randomness, tokio's tasks, and threads for curve arithmetic.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hazel_mint::ports::{Environment, Timestamp};
use tokio::runtime::Handle;

/// 2025-01-01: this program is younger than that, so a clock before it is wrong.
const EARLIEST_UNIX_TIME: u64 = 1_735_689_600;

/// What the port calls a future of its own.
type Task<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Work for a core.
type Job = Box<dyn FnOnce() + Send>;

/// Jobs that may wait for a thread. Each request in flight has at most a few, so a longer queue means that the mint is overloaded.
const QUEUED_JOBS: usize = 4_096;

/// The system this process runs on.
#[derive(Debug)]
pub(crate) struct SystemEnvironment {
    runtime: Handle,
    pool: ComputePool,
}

impl SystemEnvironment {
    /// Tasks go to `runtime`; one thread for arithmetic is started per core.
    ///
    /// # Errors
    /// When the system gives no threads or no randomness, or its clock is plainly wrong: expired keysets and invoices would pass.
    pub(crate) fn new(runtime: Handle) -> std::io::Result<Self> {
        draw(&mut [0])?;
        if unix_time().is_none_or(|now| now < EARLIEST_UNIX_TIME) {
            return Err(std::io::Error::other("the clock of this machine stands years ago: set it"));
        }
        let cores = thread::available_parallelism()?.get();
        Ok(Self { runtime, pool: ComputePool::new(cores, QUEUED_JOBS)? })
    }
}

/// Randomness of the operating system.
fn draw(bytes: &mut [u8]) -> std::io::Result<()> {
    getrandom::fill(bytes).map_err(std::io::Error::other)
}

/// Seconds since 1970; `None` for a clock that stands before that.
fn unix_time() -> Option<u64> {
    SystemTime::now().duration_since(UNIX_EPOCH).map(|since| since.as_secs()).ok()
}

impl Environment for SystemEnvironment {
    fn now(&self) -> Timestamp {
        // Start-up has seen a clock that was right; one that is set back behind 1970 meanwhile reads as 1970.
        Timestamp::from_unix(unix_time().unwrap_or(0))
    }

    fn fill_random(&self, bytes: &mut [u8]) {
        draw(bytes).unwrap_or_else(|error| {
            // Nothing that a mint would do without randomness is safe, and start-up has shown that there was some.
            tracing::error!(%error, "the operating system gives no randomness any more: the mint ends here");
            std::process::abort()
        });
    }

    fn spawn(&self, task: Task<()>) {
        // A task that panics ends alone; the panic hook has logged it, and the sweeper resolves what it left behind.
        self.runtime.spawn(task);
    }

    fn sleep(&self, delay: Duration) -> Task<()> {
        Box::pin(tokio::time::sleep(delay))
    }

    fn compute(&self, job: Job) {
        self.pool.submit(job);
    }
}

/// Threads that keep cores busy, and a bounded queue before them.
#[derive(Debug)]
struct ComputePool {
    queue: SyncSender<Job>,
    /// Whether the last job found the queue full, so that an overload is logged once and not once a job.
    is_full: AtomicBool,
}

impl ComputePool {
    fn new(threads: usize, queued: usize) -> std::io::Result<Self> {
        let (queue, jobs) = sync_channel(queued);
        let jobs = Arc::new(Mutex::new(jobs));
        for index in 0..threads {
            let jobs = Arc::clone(&jobs);
            thread::Builder::new().name(format!("compute-{index}")).spawn(move || work(&jobs))?;
        }
        Ok(Self { queue, is_full: AtomicBool::new(false) })
    }

    /// Queues a job, or drops it when too many wait: then its caller is told that the computation gave no result.
    fn submit(&self, job: Job) {
        #[cfg(feature = "failpoints")]
        fail::fail_point!("hazel::fail::compute", |_| ());
        let is_full = matches!(self.queue.try_send(job), Err(TrySendError::Full(_)));
        if is_full && !self.is_full.swap(true, Ordering::Relaxed) {
            tracing::warn!(waiting = QUEUED_JOBS, "too much arithmetic is waiting: refusing more");
        } else if !is_full {
            self.is_full.store(false, Ordering::Relaxed);
        }
    }
}

/// Runs jobs until the pool is dropped. A job that panics has ended, nothing more; the panic hook has logged it.
fn work(jobs: &Mutex<Receiver<Job>>) {
    loop {
        // The lock is held only while waiting for one job. A poisoned lock guards a receiver that is as good as before.
        let job = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let _ = catch_unwind(AssertUnwindSafe(job));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hazel_mint::ports::compute;
    use std::sync::mpsc::channel;

    #[tokio::test]
    async fn a_job_that_panics_takes_no_thread_with_it() {
        let environment = SystemEnvironment::new(Handle::current()).expect("an environment");
        for _ in 0..64 {
            assert!(compute(&environment, || panic!("on purpose")).await.map(|(): ()| ()).is_err());
        }
        assert_eq!(compute(&environment, || 6 * 7).await, Ok(42));
    }

    #[tokio::test]
    async fn a_full_queue_drops_the_job_and_not_the_caller() {
        let pool = ComputePool::new(1, 1).expect("a pool");
        let (release, gate) = channel::<()>();
        let (started, running) = channel();
        pool.submit(Box::new(move || {
            started.send(()).expect("the test waits");
            gate.recv().expect("the test releases");
        }));
        running.recv().expect("the first job runs");
        let (done, results) = channel();
        for number in 0..3 {
            let done = done.clone();
            pool.submit(Box::new(move || done.send(number).expect("the test reads")));
        }
        drop(done);
        release.send(()).expect("the first job waits");
        assert_eq!(results.iter().collect::<Vec<_>>(), [0], "one fitted, two were dropped");
    }

    #[tokio::test]
    async fn tasks_outlive_their_caller_and_a_panic_ends_only_its_own() {
        let environment = SystemEnvironment::new(Handle::current()).expect("an environment");
        environment.spawn(Box::pin(async { panic!("on purpose") }));
        let (done, result) = tokio::sync::oneshot::channel();
        environment.spawn(Box::pin(async move {
            tokio::task::yield_now().await;
            done.send(7).expect("the test waits");
        }));
        assert_eq!(result.await, Ok(7));
    }

    #[test]
    fn time_and_randomness_are_real() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let environment = SystemEnvironment::new(runtime.handle().clone()).expect("an environment");
        assert!(environment.now() > Timestamp::from_unix(1_700_000_000));
        let (mut a, mut b) = ([0; 32], [0; 32]);
        environment.fill_random(&mut a);
        environment.fill_random(&mut b);
        assert_ne!(a, b);
    }
}
