//! The text of a vault: `$ANSIBLE_VAULT;1.1;AES256`, then lines of hexadecimal digits. They hold three
//! lines of hexadecimal digits again: salt, checksum, encrypted bytes.

/// What every vault begins with.
const HEADER: &str = "$ANSIBLE_VAULT";
/// The one cipher; older ones are no longer read by Ansible either.
const CIPHER: &str = "AES256";
/// Digits on a line.
const WIDTH: usize = 80;

/// A vault taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The vault id in the header; `None` where it has none (format 1.1).
    pub label: Option<String>,
    /// What the keys are derived with.
    pub salt: Vec<u8>,
    /// HMAC-SHA256 of `body`.
    pub mac: Vec<u8>,
    /// The encrypted bytes.
    pub body: Vec<u8>,
}

/// Why a text is no vault that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Line of the vault's text, from 1.
    pub line: u32,
    /// Column, from 1.
    pub column: u32,
    /// What is wrong there.
    pub message: String,
}

impl Damage {
    fn new(line: usize, column: usize, message: impl Into<String>) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Damage { line: number(line), column: number(column), message: message.into() }
    }
}

/// True when the text says it is a vault; it may still be damaged.
pub fn is_vault(text: &[u8]) -> bool {
    text.starts_with(HEADER.as_bytes())
}

/// Takes a vault's text apart. Accepts what Ansible accepts: any version number, a label in any version,
/// either kind of line end.
pub fn parse(text: &[u8]) -> Result<Envelope, Damage> {
    if !is_vault(text) {
        return Err(Damage::new(1, 1, format!("it does not begin with `{HEADER}`")));
    }
    let lines = lines(text);
    let (first, rest) = lines.split_first().map_or((&b""[..], &[][..]), |(first, rest)| (*first, rest));
    let label = header(first)?;
    // Where each digit stands, for what is wrong inside.
    let digits: Vec<u8> = rest.concat();
    let place = |index: usize| {
        let mut before = 0;
        for (number, line) in rest.iter().enumerate() {
            if index < before + line.len() {
                return (number + 2, index - before + 1);
            }
            before += line.len();
        }
        (rest.len() + 1, rest.last().map_or(first, |line| line).len() + 1)
    };
    let damage = |index: usize, message: &str| {
        let (line, column) = place(index);
        Damage::new(line, column, message)
    };
    if digits.is_empty() {
        return Err(damage(0, "nothing follows the first line"));
    }
    let outer = unhex(&digits).map_err(|bad| match bad {
        Some(at) => damage(at, "only the digits 0-9 and a-f may stand here"),
        None => damage(digits.len(), "the text ends in the middle of a byte: something was cut off"),
    })?;
    let mut parts = outer.splitn(3, |byte| *byte == b'\n');
    let mut start = 0;
    let mut part = |what: &str| {
        let cut = || damage(digits.len(), &format!("the text ends before its {what}: something was cut off"));
        let hex = parts.next().ok_or_else(cut)?;
        let begin = start;
        start += hex.len() + 1;
        // Two digits of the text for each digit inside.
        unhex(hex).map_err(|bad| match bad {
            Some(at) => damage((begin + at) * 2, &format!("the {what} is damaged here")),
            None => damage((begin + hex.len()) * 2, &format!("the {what} ends in the middle of a byte")),
        })
    };
    let (salt, mac, body) = (part("salt")?, part("checksum")?, part("encrypted bytes")?);
    if mac.len() != 32 {
        return Err(damage(salt.len() * 4 + 2, "the checksum has not 32 bytes: the text was changed"));
    }
    Ok(Envelope { label, salt, mac, body })
}

/// The label of a first line.
fn header(line: &[u8]) -> Result<Option<String>, Damage> {
    let text = String::from_utf8_lossy(line);
    let mut fields = Vec::new();
    let mut column = 1;
    for field in text.trim().split(';') {
        fields.push((field.trim(), column));
        column += field.chars().count() + 1;
    }
    match fields.as_slice() {
        [_, _, (cipher, _), rest @ ..] if *cipher == CIPHER => {
            Ok(rest.first().map(|(label, _)| (*label).to_owned()).filter(|label| !label.is_empty()))
        }
        [_, _, (cipher, column), ..] => {
            let named = crate::diag::shorten(cipher, 20);
            Err(Damage::new(1, *column, format!("the cipher `{named}` is not known; Ansible has only `{CIPHER}`")))
        }
        _ => Err(Damage::new(1, column.max(2) - 1, format!("the first line must be `{HEADER};1.1;{CIPHER}`"))),
    }
}

/// The text of a vault, ending with a line break. The label `default` is not written, as in Ansible.
pub(super) fn write(envelope: &Envelope) -> String {
    let inner = format!("{}\n{}\n{}", hex(&envelope.salt), hex(&envelope.mac), hex(&envelope.body));
    let digits = hex(inner.as_bytes());
    let mut out = match envelope.label.as_deref().filter(|label| *label != super::DEFAULT_LABEL) {
        Some(label) => format!("{HEADER};1.2;{CIPHER};{label}\n"),
        None => format!("{HEADER};1.1;{CIPHER}\n"),
    };
    let mut rest = digits.as_str();
    while !rest.is_empty() {
        let (line, next) = rest.split_at(WIDTH.min(rest.len()));
        out.push_str(line);
        out.push('\n');
        rest = next;
    }
    out
}

/// As Python's `splitlines` of bytes.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    let mut out = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(rest.len());
        out.push(&rest[..end]);
        let ends = &rest[end..];
        let skip = if ends.starts_with(b"\r\n") { 2 } else { ends.len().min(1) };
        rest = &ends[skip..];
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}

/// The bytes; or the index of what is no digit, `None` for an odd number of them.
fn unhex(digits: &[u8]) -> Result<Vec<u8>, Option<usize>> {
    let value = |at: usize| match digits[at] {
        c @ b'0'..=b'9' => Ok(c - b'0'),
        c @ b'a'..=b'f' => Ok(c - b'a' + 10),
        c @ b'A'..=b'F' => Ok(c - b'A' + 10),
        _ => Err(Some(at)),
    };
    let out = (0..digits.len() / 2).map(|n| Ok(value(2 * n)? << 4 | value(2 * n + 1)?)).collect();
    if digits.len() % 2 == 1 { value(digits.len() - 1).and(out).and(Err(None)) } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(label: Option<&str>) -> Envelope {
        Envelope { label: label.map(str::to_owned), salt: vec![1; 32], mac: vec![2; 32], body: vec![3; 48] }
    }

    #[test]
    fn what_is_written_is_read_again() {
        for label in [None, Some("dev"), Some("a b@c")] {
            let text = write(&sample(label));
            assert_eq!(parse(text.as_bytes()), Ok(sample(label)));
            assert!(text.lines().all(|line| line.len() <= 80));
            // Line ends of another system, digits in capitals.
            let first = text.lines().next().unwrap();
            let capitals = text.to_uppercase().replacen(&first.to_uppercase(), first, 1).replace('\n', "\r\n");
            assert_eq!(parse(capitals.as_bytes()), Ok(sample(label)));
        }
        assert_eq!(write(&sample(Some("default"))), write(&sample(None)));
    }

    #[test]
    fn damage_has_a_place() {
        let good = write(&sample(None));
        let at = |text: &str| {
            let damage = parse(text.as_bytes()).unwrap_err();
            (damage.line, damage.column, damage.message)
        };
        let says = |text: &str, line: u32, column: u32, piece: &str| {
            let (l, c, message) = at(text);
            assert!(l == line && c == column && message.contains(piece), "{l}:{c} {message}");
        };
        says("plain", 1, 1, "does not begin");
        says("$ANSIBLE_VAULT", 1, 15, "must be");
        says("$ANSIBLE_VAULT;1.0;AES\n00", 1, 20, "`AES` is not known");
        says("$ANSIBLE_VAULT;1.1;AES256\n", 1, 26, "nothing follows");
        let lines: Vec<&str> = good.lines().collect();
        says(&good.replacen(lines[2], &format!("{}x{}", &lines[2][..4], &lines[2][5..]), 1), 3, 5, "digits 0-9");
        says(&good[..good.len() - 2], lines.len() as u32, lines.last().unwrap().len() as u32, "middle of a byte");
        says(&lines[..3].join("\n"), 3, 81, "checksum ends in the middle");
        says(&format!("{}\n3031", lines[0]), 2, 5, "before its checksum");
        // A digit of the salt, two levels down, becomes `g`: 30 31 → 67 31.
        says(&good.replacen("\n30", "\n67", 1), 2, 1, "salt is damaged");
    }
}
