//! The examples, run as their readers would run them, against a real mint.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use support::{Mint, User};

/// An example with its input and output.
struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(name: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program(name))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().expect("piped")));
        Self { child, input, output }
    }

    fn say(&mut self, line: &str) {
        writeln!(self.input.as_mut().expect("open"), "{line}").expect("it reads");
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it writes");
        line.trim().to_owned()
    }

    /// Ends its input; what it says after that.
    fn end(mut self) -> String {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("it writes");
        assert!(self.child.wait().expect("it ends").success());
        rest.trim().to_owned()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The example's program, built when it is not there yet.
fn program(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_BIN_EXE_hazel")).parent().expect("a program is in a folder");
    let program = folder.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    if !program.exists() {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let target = folder.parent().expect("a target folder");
        let mut build = Command::new(cargo);
        build.args(["build", "--package", "hazel", "--example", name, "--target-dir"]).arg(target);
        assert!(build.status().expect("cargo runs").success(), "the example is built");
    }
    program
}

fn visit(address: &str, token: Option<&str>) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://")).expect("it listens");
    let header = token.map(|token| format!("x-cashu: {token}\r\n")).unwrap_or_default();
    stream.write_all(format!("GET / HTTP/1.1\r\nhost: here\r\n{header}\r\n").as_bytes()).expect("writable");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("readable");
    answer
}

#[test]
fn a_faucet_fills_a_bot_that_pays_a_paywall() {
    let home = tempfile::tempdir().expect("a folder");
    let mint = Mint::start(&home.path().join("mint"), &home.path().join("lightning.sqlite"), 0);
    let folder = |name: &str| home.path().join(name).to_str().expect("text").to_owned();

    let mut faucet = Running::start("faucet", &[&folder("faucet"), &mint.url(), "10"]);
    assert!(faucet.hear().starts_with("lnbc"));
    faucet.say("for you");
    let token = faucet.hear();
    let carol = User::new(home.path().join("carol"), Some(&mint));
    assert!(carol.hazel(&["--yes", "receive", &token]).ok().out.contains("for you"));
    faucet.say("");
    assert!(faucet.hear().starts_with("cashuB"));
    assert_eq!(faucet.end(), "took back 10", "what carol did not claim");

    let mut wall = Running::start("paywall", &[&folder("wall"), &mint.url(), "4"]);
    let address = wall.hear();
    let refused = visit(&address, None);
    assert!(refused.starts_with("HTTP/1.1 402"), "{refused}");
    let request = refused.lines().find_map(|line| line.strip_prefix("X-Cashu: ")).expect("a request").to_owned();

    let mut bot = Running::start("payer", &[&folder("bot"), &mint.url(), "5"]);
    assert!(bot.hear().starts_with("lnbc"));
    bot.say(&request);
    let token = bot.hear();
    bot.say(carol.hazel(&["--json", "request", "6"]).ok().json()["request"].as_str().expect("a request"));
    assert!(bot.hear().contains("more than 5"));
    bot.say("nonsense");
    assert!(bot.hear().starts_with("not paid: not a payment request"));
    assert_eq!(bot.end(), "");

    let too_little = carol.hazel(&["--yes", "send", "3"]).ok().token();
    assert!(visit(&address, Some(&too_little)).starts_with("HTTP/1.1 400"));
    assert!(visit(&address, Some("cashuBnonsense")).starts_with("HTTP/1.1 400"));
    let seen = visit(&address, Some(&token));
    assert!(seen.starts_with("HTTP/1.1 200") && seen.ends_with("Welcome"), "{seen}");
    assert!(visit(&address, Some(&token)).starts_with("HTTP/1.1 400"), "a token pays once");
}
