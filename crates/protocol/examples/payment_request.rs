//! Reads payment requests, one a line, in any form, and writes each as JSON: what it says, and both its forms.
//!
//! A line that begins with a brace is what a request says, in the JSON of NUT-18.
//!
//! ```sh
//! echo creqA... | cargo run -p hazel-protocol --example payment_request
//! ```

use std::error::Error;
use std::io::{self, Write};

use hazel_protocol::PaymentRequest;
use serde_json::json;

fn main() -> Result<(), Box<dyn Error>> {
    for line in io::stdin().lines() {
        let line = line?;
        let text = line.trim();
        let request: PaymentRequest = if text.starts_with('{') { serde_json::from_str(text)? } else { text.parse()? };
        let (cbor, bech32) = (request.to_cbor_text()?, request.to_bech32_text()?);
        writeln!(io::stdout(), "{}", json!({ "says": request, "creqA": cbor, "creqB": bech32 }))?;
    }
    Ok(())
}
