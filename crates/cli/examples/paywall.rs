//! A page that costs something (NUT-24): `paywall FOLDER MINT PRICE`. It prints its address. A visitor without money is answered 402 and a
//! payment request; one who brings a token in the header `X-Cashu` sees the page.
#![expect(clippy::print_stdout, reason = "it says where it listens")]

mod world;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use hazel_protocol::{Amount, Token};
use hazel_wallet::{RequestTerms, Wallet};
use world::{Failure, argument};

/// The longest head of a request that is read, in bytes: a token of some hundred proofs fits.
const MAX_HEAD_BYTES: u64 = 128 * 1024;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (wallets, wallet) = world::open(argument(1, "a folder")?.as_ref(), &argument(2, "a mint")?).await?;
    let price = Amount::from_u64(argument(3, "a price")?.parse()?);
    // The token comes back in a header, so the request names no way.
    let terms = RequestTerms { amount: Some(price), description: Some("a page".to_owned()), ..RequestTerms::default() };
    let request = wallets.create_request(terms).await?.request.to_cbor_text()?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    println!("http://{}", listener.local_addr()?);
    for visitor in listener.incoming() {
        let mut visitor = visitor?;
        visitor.set_read_timeout(Some(Duration::from_secs(10)))?;
        let answer = match token_of(&visitor) {
            None => format!("HTTP/1.1 402 Payment Required\r\nX-Cashu: {request}\r\nContent-Length: 0\r\n\r\n"),
            Some(token) => match take(&wallet, &token, price).await {
                Ok(()) => "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nWelcome".to_owned(),
                Err(error) => {
                    let text = hazel_protocol::neutralise(&error.to_string());
                    format!("HTTP/1.1 400 Bad Request\r\nContent-Length: {}\r\n\r\n{text}", text.len())
                }
            },
        };
        // Whoever has gone does not read it.
        let _ = visitor.write_all(answer.as_bytes());
    }
    Ok(())
}

/// The token in the head of a request, if there is one.
fn token_of(visitor: &TcpStream) -> Option<String> {
    let lines = BufReader::new(visitor.take(MAX_HEAD_BYTES)).lines();
    let mut found = None;
    for line in lines.map_while(Result::ok).take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("x-cashu")
        {
            found = Some(value.trim().to_owned());
        }
    }
    found
}

/// Takes what a visitor brings, if it is enough. Only then the page is shown.
async fn take(wallet: &Wallet, token: &str, price: Amount) -> Result<(), Failure> {
    let token: Token = token.parse()?;
    let prepared = wallet.prepare_receive(&token).await?;
    if prepared.value() < price {
        return Err(format!("the page costs {price}").into());
    }
    prepared.confirm().await?;
    Ok(())
}
