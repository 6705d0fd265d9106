//! Host ranges: `web[01:20]`, `db[a:f]`, `n[0:10:2]`.

use super::{Inventory, address};

/// Most hosts that ranges may stand for, in one inventory.
const MOST: usize = 500_000;

impl Inventory {
    /// A host entry: the names it stands for and the port.
    pub(super) fn expand(&mut self, entry: &str) -> Result<(Vec<String>, Option<i64>), String> {
        let (names, port) = hosts(entry)?;
        self.from_ranges += names.len().saturating_sub(1);
        match self.from_ranges > MOST {
            true => Err(format!("with `{entry}` the ranges of this inventory stand for more than {MOST} hosts")),
            false => Ok((names, port)),
        }
    }
}

fn hosts(entry: &str) -> Result<(Vec<String>, Option<i64>), String> {
    let (pattern, port) = match address::parse(entry, true) {
        Some((host, port)) => (host, port),
        None => (entry.to_owned(), None),
    };
    let names = if pattern.contains('[') { expand(&pattern)? } else { vec![pattern] };
    Ok((names, port))
}

/// All names of a pattern with one or more ranges.
fn expand(pattern: &str) -> Result<Vec<String>, String> {
    // Ansible puts bars for the brackets and splits there.
    let closed_first = pattern.find(']').zip(pattern.find('[')).is_some_and(|(close, open)| close < open);
    if pattern.contains('|') || closed_first {
        return Err(format!("`{pattern}` is neither a host's name nor a range"));
    }
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

/// The items of a range, by Python's rules: `int()` for numbers, places in the alphabet for letters.
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
    let width = if begin.len() > 1 && begin.starts_with('0') {
        if begin.chars().count() != end.chars().count() {
            return Err(format!(
                "begin and end of `[{range}]` must have the same length, because begin has leading zeros"
            ));
        }
        begin.len()
    } else {
        0
    };
    let step =
        int(step).filter(|s| *s != 0).ok_or_else(|| format!("the step of `[{range}]` must be a number and not 0"))?;
    if let (Some(first), Some(last)) = (LETTERS.find(begin), LETTERS.find(end)) {
        if first > last {
            return Err(format!("`[{range}]` must begin at or before its end"));
        }
        let letters = LETTERS[first..=last].chars().map(String::from);
        return Ok(match usize::try_from(step) {
            Ok(step) => letters.step_by(step).map(|letter| fill(&letter, width)).collect(),
            Err(_) => Vec::new(),
        });
    }
    let number =
        |text: &str| int(text).ok_or_else(|| format!("`{text}` in `[{range}]` is neither a number nor a letter"));
    let (first, last) = (number(begin)?, number(end)?);
    let most = MOST as i64;
    // With a step below 0 Python counts down, to the number after the end.
    let count = match step > 0 {
        true => last.saturating_add(1).saturating_sub(first).saturating_add(step - 1) / step,
        false => first.saturating_sub(last.saturating_add(1)).saturating_sub(step + 1) / step.saturating_neg(),
    };
    if count > most {
        return Err(format!("`[{range}]` stands for more than {MOST} hosts"));
    }
    let item = |n: i64| fill(&first.saturating_add(step.saturating_mul(n)).to_string(), width);
    Ok((0..count.max(0)).map(item).collect())
}

/// Python's `string.ascii_letters`; a bound of several letters counts by its first.
const LETTERS: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

fn fill(text: &str, width: usize) -> String {
    format!("{text:0>width$}")
}

/// As Python's `int()`: white space around it, a sign, and `_` between digits.
fn int(text: &str) -> Option<i64> {
    let text = text.trim();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let fits = digits.split('_').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    fits.then(|| text.replace('_', "").parse().ok()).flatten()
}
