//! The closed loop: the only part whose time is measured.

use std::cell::{Cell, RefCell};
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use futures_util::future::try_join_all;

use crate::connection::{Answer, Connection};

/// A request that is ready to be sent.
#[derive(Debug, Clone)]
pub(crate) struct Job {
    pub(crate) path: &'static str,
    pub(crate) body: Bytes,
}

/// What became of each job.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// From the first request sent to the last answer read.
    pub(crate) took: Duration,
    /// In the order of the jobs. Without an answer where the connection broke.
    pub(crate) done: Vec<Done>,
}

/// What became of one job.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    pub(crate) latency: Duration,
    pub(crate) answer: Option<Answer>,
}

/// Does all jobs with `clients` connections, each of which takes the next job when it has its answer.
///
/// # Errors
/// The mint cannot be connected to. A connection that breaks later is a job without an answer.
pub(crate) async fn run(host: &str, jobs: &[Job], clients: u64) -> Result<Outcome> {
    let connections = try_join_all((0..clients).map(|_| Connection::open(host))).await?;
    let next = Cell::new(0);
    let done = RefCell::new(vec![Done::default(); jobs.len()]);
    let start = Instant::now();
    let loops = connections.into_iter().map(|mut connection| {
        let (next, done) = (&next, &done);
        async move {
            while let Some(job) = jobs.get(next.get()) {
                let place = next.replace(next.get() + 1);
                let finished = one(host, &mut connection, job).await?;
                if let Some(row) = done.borrow_mut().get_mut(place) {
                    *row = finished;
                }
            }
            anyhow::Ok(())
        }
    });
    try_join_all(loops).await?;
    let took = start.elapsed();
    Ok(Outcome { took, done: done.into_inner() })
}

async fn one(host: &str, connection: &mut Connection, job: &Job) -> Result<Done> {
    let sent = Instant::now();
    let answer = connection.post(job.path, job.body.clone()).await;
    let latency = sent.elapsed();
    if answer.is_err() {
        *connection = Connection::open(host).await?;
    }
    Ok(Done { latency, answer: answer.ok() })
}
