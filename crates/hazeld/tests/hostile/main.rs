//! What no honest wallet, payer or node does, done to the real process over HTTP.
//!
//! `docs/hostile.md` lists what a mint must survive, and for each line the test that shows it. A refusal is a 4xx with a code of the
//! NUTs and changes nothing: each test compares the books before and after, and then has the mint do an honest request.

#[path = "../client/mod.rs"]
mod client;

mod bench;
mod history;
mod load;
mod locks;
mod melts;
mod own;
mod quotes;
mod replays;
mod requests;
mod times;
mod whole;
