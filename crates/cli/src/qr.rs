//! QR codes in the terminal, for a phone to read. They go to standard error, beside the answer.
//!
//! What does not fit one code is shown as several, one after the other (NUT-16, the fountain codes of BC-UR): whoever reads them
//! needs any of them, not each.

use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use qrcode::{Color, EcLevel, QrCode};

use crate::failure::{Failure, Kind};
use crate::output::{Output, Size};

/// Light modules around the code; half of what the standard asks for is what phones need.
const QUIET: usize = 2;

/// How often the frames of an animation change.
const FRAME: Duration = Duration::from_millis(200);

/// How many times as many frames are shown as the text has parts, when nobody stops it. A count.
const ROUNDS: usize = 20;

/// Sizes of the parts of an animation, in bytes; the largest that fits the terminal is taken.
const PART_BYTES: [usize; 6] = [200, 150, 100, 70, 45, 30];

/// The least terminal that an animation is made for, when its size is not known.
const UNKNOWN: Size = Size { columns: 80, rows: 40 };

/// Shows a text as one code, or as many where it is longer. What stands in the way is told about and stops nothing.
pub(crate) async fn show(output: &Output, text: &str) {
    if let Err(failure) = try_to_show(output, text).await {
        let hint = failure.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        output.note(format!("No QR code: {}{hint}.", failure.message));
    }
}

async fn try_to_show(output: &Output, text: &str) -> Result<(), Failure> {
    let is_terminal = io::stderr().is_terminal();
    let size = output.terminal().or(is_terminal.then_some(UNKNOWN));
    let code = code(text);
    if let Some(code) = code.filter(|code| size.is_none_or(|size| fits(code, size))) {
        for line in lines(&code) {
            output.note(line);
        }
        return Ok(());
    }
    if !is_terminal {
        return Err(Failure::new(Kind::Refused, "the text is too long for one QR code")
            .hint("on a terminal it is shown as several, one after the other"));
    }
    animate(output, text, size.unwrap_or(UNKNOWN)).await
}

/// The code of a text; none when it is too long. Texts whose case means nothing are written in upper case, which is shorter.
fn code(text: &str) -> Option<QrCode> {
    let is_caseless = ["ln", "creqb1", "ur:"]
        .iter()
        .any(|prefix| text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix)));
    let text = if is_caseless { text.to_ascii_uppercase() } else { text.to_owned() };
    QrCode::with_error_correction_level(text.as_bytes(), EcLevel::L).ok()
}

fn fits(code: &QrCode, size: Size) -> bool {
    let modules = code.width() + 2 * QUIET;
    modules <= size.columns && modules.div_ceil(2) < size.rows
}

/// Two modules to a character, the light ones in the colour of text, since terminals are mostly dark.
fn lines(code: &QrCode) -> Vec<String> {
    let width = code.width();
    let colors = code.to_colors();
    let is_light = |x: usize, y: usize| {
        let inside = (QUIET..QUIET + width).contains(&x) && (QUIET..QUIET + width).contains(&y);
        !inside || colors[(y - QUIET) * width + (x - QUIET)] == Color::Light
    };
    let side = width + 2 * QUIET;
    let line = |row: usize| {
        let module = |x: usize| match (is_light(x, 2 * row), 2 * row + 1 < side && is_light(x, 2 * row + 1)) {
            (true, true) => '█',
            (true, false) => '▀',
            (false, true) => '▄',
            (false, false) => ' ',
        };
        (0..side).map(module).collect()
    };
    (0..side.div_ceil(2)).map(line).collect()
}

/// The parts of a text: any of them in any order, as many as there are and a few more, give it back.
fn parts(text: &str, part_bytes: usize) -> Result<Parts, Failure> {
    let encoder = ur::Encoder::bytes(&cbor_bytes(text.as_bytes()), part_bytes);
    let encoder = encoder.map_err(|error| Failure::new(Kind::Bug, format!("the text has no parts: {error}")))?;
    Ok(Parts(encoder))
}

struct Parts(ur::Encoder<'static>);

impl Parts {
    fn count(&self) -> usize {
        self.0.fragment_count()
    }

    fn next(&mut self) -> Result<String, Failure> {
        self.0.next_part().map_err(|error| Failure::new(Kind::Bug, format!("a part cannot be written: {error}")))
    }
}

/// A byte string in CBOR (RFC 8949), the content of `ur:bytes`.
fn cbor_bytes(bytes: &[u8]) -> Vec<u8> {
    let length = bytes.len().to_be_bytes();
    let significant = length.iter().position(|byte| *byte != 0).map_or(0, |first| length.len() - first);
    let mut text = match significant {
        0 | 1 if bytes.len() < 24 => vec![0x40 | length[7]],
        0 | 1 => vec![0x58, length[7]],
        2 => vec![0x59, length[6], length[7]],
        3 | 4 => vec![0x5a, length[4], length[5], length[6], length[7]],
        _ => std::iter::once(0x5b).chain(length).collect(),
    };
    text.extend_from_slice(bytes);
    text
}

/// Shows part after part in one place, until Enter is pressed or everybody has had the time.
async fn animate(output: &Output, text: &str, size: Size) -> Result<(), Failure> {
    let mut parts = fitting(text, size)?;
    let frames = parts.count().saturating_mul(ROUNDS);
    output.note("Scan these with a Cashu wallet. Enter goes on.");
    let mut enter = entered();
    let mut height = 0;
    for _ in 0..frames {
        let part = parts.next()?;
        let Some(code) = code(&part) else {
            return Err(Failure::new(Kind::Bug, "a part is too long for a QR code"));
        };
        let lines = lines(&code);
        draw(&lines, height);
        height = lines.len();
        let pause = tokio::time::sleep(FRAME);
        match &mut enter {
            Some(pressed) => tokio::select! {
                _ = pressed => break,
                () = pause => {}
            },
            None => pause.await,
        }
    }
    Ok(())
}

/// Parts of the largest size that the terminal has room for.
fn fitting(text: &str, size: Size) -> Result<Parts, Failure> {
    let (smallest, larger) = PART_BYTES.split_last().map_or((30, &PART_BYTES[..0]), |(last, others)| (*last, others));
    for part_bytes in larger {
        let mut parts = parts(text, *part_bytes)?;
        if code(&parts.next()?).is_some_and(|code| fits(&code, size)) {
            return self::parts(text, *part_bytes);
        }
    }
    parts(text, smallest)
}

/// Ends when somebody presses Enter; none where nobody can.
fn entered() -> Option<tokio::task::JoinHandle<()>> {
    io::stdin().is_terminal().then(|| {
        tokio::task::spawn_blocking(|| {
            // Without an answer the animation just ends.
            let _ = io::stdin().read_line(&mut String::new());
        })
    })
}

/// Writes the lines over those of the frame before.
fn draw(lines: &[String], height: usize) {
    let up = if height > 0 { format!("\u{1b}[{height}A") } else { String::new() };
    let mut stderr = io::stderr();
    // Nobody can be told that standard error is closed.
    let _ = write!(stderr, "{up}{}\r\n", lines.join("\r\n"));
    let _ = stderr.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_square_and_has_its_corners() {
        let code = code("LNBC1").expect("short");
        assert_eq!(code.width(), 21, "the smallest");
        let lines = lines(&code);
        assert_eq!(lines.len(), 13);
        assert!(lines.iter().all(|line| line.chars().count() == 25), "{lines:#?}");
        assert_eq!(lines[0], "█".repeat(25), "light around it");
        // The finder pattern: seven dark, a light ring, three dark.
        assert_eq!(lines[1].chars().take(10).collect::<String>(), "██ ▄▄▄▄▄ █");
        assert!(super::code(&"x".repeat(3_000)).is_none());
        assert_eq!(
            super::code("lnbc1").map(|code| code.to_colors()),
            super::code("LNBC1").map(|code| code.to_colors())
        );
    }

    #[test]
    fn any_parts_give_the_text_back() {
        let text = format!("cashuB{}", "0123456789".repeat(150));
        let mut parts = parts(&text, 100).expect("parts");
        assert!(parts.count() > 10);
        let mut decoder = ur::Decoder::default();
        for number in 0.. {
            let part = parts.next().expect("a part");
            assert!(number < 200, "it does not come together");
            // Every third is missed.
            if number % 3 != 0 {
                decoder.receive(&part).expect("a good part");
            }
            if decoder.complete() {
                break;
            }
        }
        let message = decoder.message().expect("whole").expect("complete");
        assert_eq!(message, cbor_bytes(text.as_bytes()));
    }

    #[test]
    fn byte_strings_have_the_shortest_head() {
        for (length, head) in [
            (0, vec![0x40]),
            (23, vec![0x57]),
            (24, vec![0x58, 24]),
            (255, vec![0x58, 255]),
            (256, vec![0x59, 1, 0]),
            (65_535, vec![0x59, 255, 255]),
            (65_536, vec![0x5a, 0, 1, 0, 0]),
        ] {
            let text = cbor_bytes(&vec![7; length]);
            assert_eq!(&text[..head.len()], head, "{length}");
            assert_eq!(text.len(), head.len() + length);
        }
    }

    #[test]
    fn parts_fit_the_terminal() {
        let text = "x".repeat(2_000);
        let (large, small) = (Size { columns: 200, rows: 100 }, Size { columns: 80, rows: 24 });
        let count = |size| fitting(&text, size).expect("parts").count();
        assert!(count(large) < count(small));
        let part = fitting(&text, small).expect("parts").next().expect("a part");
        assert!(code(&part).is_some_and(|code| fits(&code, small)), "{part}");
    }
}
