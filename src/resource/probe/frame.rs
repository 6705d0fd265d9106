//! From the stream back to answers. Total: any bytes are parsed or refused, never misread.

use super::{ProbeOutput, ProbeOutputs};

/// Why a stream of answers cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// None of our frames is in it: the script did not run.
    #[error("the host did not run the probe script; it said: {said:?}")]
    NothingOfOurs {
        /// The beginning of what came instead.
        said: String,
    },
    /// It stops before the last frame: the connection or the shell ended early.
    #[error("the answer of the host is cut after {complete} probes")]
    Cut {
        /// How many frames were whole.
        complete: usize,
    },
    /// A frame is not as it was sent: something else wrote into the stream.
    #[error("the answer of the host is damaged near probe {near:?}: {why}")]
    Damaged {
        /// The probe, as far as it can be told.
        near: String,
        /// What does not fit.
        why: &'static str,
    },
}

/// How much of a foreign text is quoted in an error, in bytes.
const QUOTED: usize = 200;

/// Reads the standard output of a [`super::script`] run with the same delimiter.
///
/// Text around frames (banners, messages of the day, a chatty shell start file) is skipped. A frame
/// states its probe and length twice and the stream its number of frames, so what is inserted or lost
/// anywhere inside is noticed, and the whole answer is refused.
pub fn parse(stream: &[u8], delimiter: &str) -> Result<ProbeOutputs, ProbeError> {
    let mark = format!("\n{delimiter} ").into_bytes();
    let mut outputs = ProbeOutputs::new();
    let mut rest = stream;
    let mut seen_any = false;
    loop {
        let Some(at) = find(rest, &mark) else {
            return Err(if seen_any { ProbeError::Cut { complete: outputs.len() } } else { nothing(stream) });
        };
        seen_any = true;
        let cut = || ProbeError::Cut { complete: outputs.len() };
        let (head, body) = line(&rest[at + mark.len()..]).ok_or_else(cut)?;
        let mut words = head.split(' ');
        match (words.next(), words.next(), words.next(), words.next()) {
            (Some("done"), Some(count), None, None) => {
                return match count.parse::<usize>() {
                    Ok(n) if n == outputs.len() => Ok(outputs),
                    _ => Err(damaged("done", "the number of frames does not fit")),
                };
            }
            (Some("begin"), Some(id), Some(length), None) => {
                let Ok(len) = length.parse::<usize>() else {
                    return Err(damaged(id, "its length is not a number"));
                };
                let tail = format!("\n{delimiter} end {id} {length}\n").into_bytes();
                let end = len.checked_add(tail.len()).ok_or_else(|| damaged(id, "its length is absurd"))?;
                if body.len() < end {
                    // Either the stream stops here, or the frame is shorter than it says.
                    return Err(if find(body, &mark).is_some() {
                        damaged(id, "its length does not fit")
                    } else {
                        cut()
                    });
                }
                if body[len..end] != tail {
                    return Err(damaged(id, "its end is not where its length says"));
                }
                let output = answer(&body[..len], delimiter).ok_or_else(|| damaged(id, "it carries no exit code"))?;
                if outputs.insert(id.to_owned(), output).is_some() {
                    return Err(damaged(id, "it came twice"));
                }
                // The newline that ends this frame may be the one that begins the next.
                rest = &body[end - 1..];
            }
            _ => return Err(damaged(head, "this is no frame of ours")),
        }
    }
}

/// Splits what was captured into output and exit code. Without the mark at its end it was cut by the
/// cap, and nothing in it is to be trusted.
fn answer(body: &[u8], delimiter: &str) -> Option<ProbeOutput> {
    let Some(body) = body.strip_suffix(delimiter.as_bytes()).and_then(|b| b.strip_suffix(b" ")) else {
        return Some(ProbeOutput { code: None, out: Vec::new() });
    };
    let newline = body.iter().rposition(|&b| b == b'\n')?;
    let digits = std::str::from_utf8(&body[newline + 1..]).ok()?;
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let code = digits.parse().ok()?;
    (0..=255).contains(&code).then(|| ProbeOutput { code: Some(code), out: body[..newline].to_vec() })
}

/// The first line, without its newline, and what follows it.
fn line(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let end = bytes.iter().position(|&b| b == b'\n')?;
    // A head of ours is short and ASCII; anything else will not match a frame.
    let head = std::str::from_utf8(&bytes[..end]).unwrap_or("?");
    Some((head, &bytes[end + 1..]))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|w| w == needle)
}

fn damaged(near: &str, why: &'static str) -> ProbeError {
    ProbeError::Damaged { near: near.chars().take(40).collect(), why }
}

fn nothing(stream: &[u8]) -> ProbeError {
    let said = String::from_utf8_lossy(&stream[..stream.len().min(QUOTED)]);
    ProbeError::NothingOfOurs { said: said.trim().to_owned() }
}
