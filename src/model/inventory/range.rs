//! Host ranges: `web[01:20]`, `db[a:f]`, `n[0:10:2]`.

use super::address;

/// Most hosts one pattern may stand for.
const MOST: usize = 1_000_000;

/// A host entry: the names it stands for and the port.
pub(super) fn hosts(entry: &str) -> Result<(Vec<String>, Option<u16>), String> {
    let (pattern, port) = match address::parse(entry, true) {
        Some((host, port)) => (host, port),
        None => (entry.to_owned(), None),
    };
    let names = if pattern.contains('[') { expand(&pattern)? } else { vec![pattern] };
    Ok((names, port))
}

/// All names of a pattern with one or more ranges.
fn expand(pattern: &str) -> Result<Vec<String>, String> {
    let mut done = vec![String::new()];
    let mut rest = pattern;
    while let Some(open) = rest.find('[') {
        let (head, after) = rest.split_at(open);
        let close = after.find(']').ok_or_else(|| format!("the range in `{pattern}` is not closed with `]`"))?;
        let items = sequence(&after[1..close], pattern)?;
        if done.len().saturating_mul(items.len()) > MOST {
            return Err(format!("`{pattern}` stands for more than {MOST} hosts"));
        }
        done = done.iter().flat_map(|d| items.iter().map(move |i| format!("{d}{head}{i}"))).collect();
        rest = &after[close + 1..];
    }
    for name in &mut done {
        name.push_str(rest);
    }
    Ok(done)
}

fn sequence(range: &str, pattern: &str) -> Result<Vec<String>, String> {
    let bounds: Vec<&str> = range.split(':').collect();
    let (begin, end, step) = match bounds[..] {
        [begin, end] => (begin, end, "1"),
        [begin, end, step] => (begin, end, step),
        _ => {
            return Err(format!(
                "a host range is `[begin:end]` or `[begin:end:step]`, and `[{range}]` in `{pattern}` is neither"
            ));
        }
    };
    let begin = if begin.is_empty() { "0" } else { begin };
    if end.is_empty() {
        return Err(format!("the range `[{range}]` has no end"));
    }
    let step: usize = step
        .parse()
        .ok()
        .filter(|s| *s > 0)
        .ok_or_else(|| format!("the step of `[{range}]` must be a number above 0"))?;
    let width = if begin.len() > 1 && begin.starts_with('0') {
        if begin.len() != end.len() {
            return Err(format!(
                "begin and end of `[{range}]` must have the same length, because begin has leading zeros"
            ));
        }
        begin.len()
    } else {
        0
    };
    if let (Some(first), Some(last)) = (letter(begin), letter(end)) {
        if first > last {
            return Err(format!("`[{range}]` must begin at or before its end"));
        }
        let letters = ('a'..='z').chain('A'..='Z').collect::<Vec<_>>();
        return Ok(letters[first..=last].iter().step_by(step).map(char::to_string).collect());
    }
    let number = |text: &str| {
        text.parse::<u64>().map_err(|_| format!("`{text}` in `[{range}]` is neither a number nor a letter"))
    };
    let (first, last) = (number(begin)?, number(end)?);
    if last.saturating_sub(first) / step as u64 > MOST as u64 {
        return Err(format!("`[{range}]` stands for more than {MOST} hosts"));
    }
    Ok((first..=last).step_by(step).map(|n| format!("{n:0>width$}")).collect())
}

/// Position among `a…zA…Z`.
fn letter(text: &str) -> Option<usize> {
    let mut chars = text.chars();
    match (chars.next(), chars.next()) {
        (Some(c @ 'a'..='z'), None) => Some(c as usize - 'a' as usize),
        (Some(c @ 'A'..='Z'), None) => Some(26 + c as usize - 'A' as usize),
        _ => None,
    }
}
