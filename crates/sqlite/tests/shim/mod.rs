//! Builds the shim, starts programs under it, and rebuilds from its trace what a disk may hold after a power cut.
//!
//! See README.md beside this file.
#![allow(dead_code, unreachable_pub, reason = "each test program uses its own part")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Compiles the shim once for each test program and gives its path.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sqlite/tests/shim/iofault.c");
        let name = format!("iofault-{}.so", std::process::id());
        let library = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]);
        compiler.arg(&library).arg(source).args(["-ldl", "-lpthread"]);
        assert!(compiler.status().expect("a C compiler named cc").success(), "the shim does not compile");
        library
    })
}

/// What goes wrong, and when.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Fails syncs instead of writes.
    pub sync: bool,
    /// The number of the call that fails, from 1.
    pub at: usize,
    /// The error: `EIO` or `ENOSPC`.
    pub errno: i32,
    /// Every later call fails too.
    pub sticky: bool,
    /// Half of the bytes are written first.
    pub short: bool,
}

/// Input/output error.
pub const EIO: i32 = 5;
/// No space left on the device.
pub const ENOSPC: i32 = 28;

/// Makes `command` run under the shim, which watches files whose path contains `watched`.
pub fn under_shim(command: &mut Command, watched: &str, trace: Option<&Path>, fault: Option<Fault>) {
    command.env("LD_PRELOAD", library()).env("IOFAULT_MATCH", watched);
    if let Some(trace) = trace {
        command.env("IOFAULT_TRACE", trace);
    }
    if let Some(fault) = fault {
        command.env("IOFAULT_OP", if fault.sync { "sync" } else { "write" });
        command.env("IOFAULT_AT", fault.at.to_string()).env("IOFAULT_ERRNO", fault.errno.to_string());
        command.env("IOFAULT_STICKY", u8::from(fault.sticky).to_string());
        command.env("IOFAULT_SHORT", u8::from(fault.short).to_string());
    }
}

/// Adds a mark to a trace: something was seen from outside at this point, an answer for instance. Any process may call it.
pub fn mark(trace: &Path, text: &str) {
    let length = u32::try_from(text.len()).expect("a short text");
    let mut record = vec![b'M', 0, 0];
    record.extend(0_u64.to_le_bytes());
    record.extend(length.to_le_bytes());
    record.extend(text.as_bytes());
    let mut file = fs::OpenOptions::new().append(true).create(true).open(trace).expect("the trace");
    // One write to a file opened for appending: it lands whole, after everything that has been recorded.
    file.write_all(&record).expect("marked");
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Bytes were handed to the operating system.
    Write { file: PathBuf, offset: usize, data: Vec<u8> },
    /// The file was cut to this length.
    Truncate { file: PathBuf, length: usize },
    /// The disk confirmed everything that was done to the file before.
    Sync { file: PathBuf },
    /// Somebody saw something.
    Mark(String),
}

/// Reads a trace.
pub fn read_trace(path: &Path) -> Vec<Event> {
    let bytes = fs::read(path).expect("a trace");
    let mut rest = bytes.as_slice();
    let mut events = Vec::new();
    while !rest.is_empty() {
        events.push(read_event(&mut rest).expect("a whole record"));
    }
    events
}

fn read_event(rest: &mut &[u8]) -> Option<Event> {
    let kind = take::<1>(rest)?[0];
    let name_length = usize::from(u16::from_le_bytes(take(rest)?));
    let number = usize::try_from(u64::from_le_bytes(take(rest)?)).ok()?;
    let length = usize::try_from(u32::from_le_bytes(take(rest)?)).ok()?;
    let (name, data) = rest.split_at_checked(name_length)?;
    let (data, after) = data.split_at_checked(length)?;
    *rest = after;
    let file = PathBuf::from(String::from_utf8_lossy(name).into_owned());
    Some(match kind {
        b'W' => Event::Write { file, offset: number, data: data.to_vec() },
        b'T' => Event::Truncate { file, length: number },
        b'S' => Event::Sync { file },
        b'M' => Event::Mark(String::from_utf8_lossy(data).into_owned()),
        _ => return None,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*head)
}

/// A file on a disk: what has been confirmed, and what has been done since.
#[derive(Debug, Clone, Default)]
pub struct DiskFile {
    /// The content up to the last sync. Survives a power cut.
    pub confirmed: Vec<u8>,
    /// Writes and truncations since, in order. Any of them may survive.
    pub pending: Vec<Event>,
}

impl DiskFile {
    /// A file whose content is on the disk.
    pub fn confirmed(content: Vec<u8>) -> Self {
        Self { confirmed: content, pending: Vec::new() }
    }

    fn sync(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        self.confirmed = apply(&self.confirmed, pending.iter());
    }

    /// The content when the first `count` pending changes have survived.
    pub fn with_first(&self, count: usize) -> Vec<u8> {
        apply(&self.confirmed, self.pending.iter().take(count))
    }

    /// The content when every pending change but one has survived.
    pub fn without(&self, index: usize) -> Vec<u8> {
        let others = self.pending.iter().enumerate().filter(|(other, _)| *other != index);
        apply(&self.confirmed, others.map(|(_, event)| event))
    }
}

fn apply<'a>(content: &[u8], events: impl Iterator<Item = &'a Event>) -> Vec<u8> {
    let mut content = content.to_vec();
    for event in events {
        match event {
            Event::Write { offset, data, .. } => {
                let end = offset + data.len();
                if content.len() < end {
                    content.resize(end, 0);
                }
                content[*offset..end].copy_from_slice(data);
            }
            Event::Truncate { length, .. } => content.resize(*length, 0),
            Event::Sync { .. } | Event::Mark(_) => {}
        }
    }
    content
}

/// A disk as it goes through a trace.
#[derive(Debug, Clone, Default)]
pub struct SimulatedDisk {
    /// By path.
    pub files: BTreeMap<PathBuf, DiskFile>,
    /// The marks so far.
    pub marks: Vec<String>,
}

impl SimulatedDisk {
    /// Goes on by one event.
    pub fn step(&mut self, event: &Event) {
        match event {
            Event::Write { file, .. } | Event::Truncate { file, .. } => {
                self.files.entry(file.clone()).or_default().pending.push(event.clone());
            }
            Event::Sync { file } => self.files.entry(file.clone()).or_default().sync(),
            Event::Mark(text) => self.marks.push(text.clone()),
        }
    }
}
