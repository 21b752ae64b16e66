//! A wire that fails: it stands between a wallet and its mint, and does to one request what wires do.
//!
//! What can go wrong: the connection is cut before the mint has the request, after the mint has answered, or in the middle of the answer;
//! a request is held back, the wallet sees its connection cut, and the mint gets the request much later. Requests are not altered
//! and not repeated.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How long the mint may take for an answer.
const PATIENCE: Duration = Duration::from_mins(2);

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The mint never gets it.
    LoseRequest,
    /// The mint answers, and the wallet never gets that.
    LoseAnswer,
    /// The wallet gets half of the answer.
    CutAnswer,
    /// The mint gets it when [`Proxy::deliver`] is called.
    Hold,
}

/// Whether the wire works again after that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spell {
    /// One request is hit.
    Once,
    /// From then on no request gets through.
    Dead,
}

#[derive(Default)]
struct Plan {
    /// Requests since it was armed.
    seen: usize,
    /// Which of them is hit, counting from 1, and how.
    hits: Option<(usize, Fault, Spell)>,
    /// Whether one was.
    has_hit: bool,
    held: Vec<Vec<u8>>,
}

impl Plan {
    /// What becomes of the next request.
    fn next(&mut self) -> Option<Fault> {
        self.seen += 1;
        let (number, fault, spell) = self.hits?;
        self.has_hit |= self.seen >= number;
        match self.seen.cmp(&number) {
            std::cmp::Ordering::Less => None,
            std::cmp::Ordering::Equal => Some(fault),
            std::cmp::Ordering::Greater => (spell == Spell::Dead).then_some(Fault::LoseRequest),
        }
    }
}

/// A proxy on a port of its own, until the test ends.
pub(crate) struct Proxy {
    address: SocketAddr,
    mint: SocketAddr,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    /// A wire to the mint at `url`, which works.
    pub(crate) fn start(url: &str) -> Self {
        let mint = url.trim_start_matches("http://").parse().expect("an address");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let plan = Arc::<Mutex<Plan>>::default();
        let shared = Arc::clone(&plan);
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let plan = Arc::clone(&shared);
                // A connection that breaks is what this is for.
                thread::spawn(move || drop(serve(client, mint, &plan)));
            }
        });
        Self { address, mint, plan }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn plan(&self) -> std::sync::MutexGuard<'_, Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on counts requests, and hits one.
    pub(crate) fn arm(&self, number: usize, fault: Fault, spell: Spell) {
        let mut plan = self.plan();
        (plan.seen, plan.hits, plan.has_hit) = (0, Some((number, fault, spell)), false);
    }

    /// The wire works again. Says whether a request was hit.
    pub(crate) fn mend(&self) -> bool {
        let mut plan = self.plan();
        plan.hits = None;
        plan.has_hit
    }

    /// Whether a request is held back.
    pub(crate) fn holds(&self) -> bool {
        !self.plan().held.is_empty()
    }

    /// The mint gets what was held back, and its answers go nowhere.
    pub(crate) fn deliver(&self) {
        let held = std::mem::take(&mut self.plan().held);
        for request in held {
            ask(self.mint, &request).expect("the mint answers");
        }
    }
}

fn serve(mut client: TcpStream, mint: SocketAddr, plan: &Mutex<Plan>) -> std::io::Result<()> {
    let request = read_request(&mut client)?;
    let fault = plan.lock().unwrap_or_else(PoisonError::into_inner).next();
    match fault {
        Some(Fault::LoseRequest) => Ok(()),
        Some(Fault::Hold) => {
            plan.lock().unwrap_or_else(PoisonError::into_inner).held.push(request);
            Ok(())
        }
        Some(Fault::LoseAnswer) => ask(mint, &request).map(drop),
        Some(Fault::CutAnswer) => {
            let answer = ask(mint, &request)?;
            client.write_all(&answer[..answer.len() / 2])
        }
        None => client.write_all(&ask(mint, &request)?),
    }
}

/// One request, to be sent on a connection of its own.
fn read_request(client: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    client.set_read_timeout(Some(PATIENCE))?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 8192];
    let head = loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        match client.read(&mut chunk)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    };
    let text = String::from_utf8_lossy(&bytes[..head]).to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok()).unwrap_or(0);
    while bytes.len() < head + length {
        match client.read(&mut chunk)? {
            0 => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
    let line = bytes.windows(2).position(|window| window == b"\r\n").unwrap_or(0) + 2;
    bytes.splice(line..line, b"connection: close\r\n".iter().copied());
    Ok(bytes)
}

fn ask(mint: SocketAddr, request: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(mint)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}
