//! Numbers and sizes.

use minijinja::value::ValueKind;
use minijinja::{Environment, Error, Value};

use super::filter;
use crate::template::args::{Args, integer, items, number, refuse};
use crate::template::methods::tuple;
use crate::template::python;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>) {
    filter(env, names, "log", "base", |value, args| {
        let x = needed(&value, "log")?;
        let base = args.get("base").map(|b| needed(b, "log")).transpose()?;
        if x <= 0.0 || base.is_some_and(|b| b <= 0.0 || b == 1.0) {
            return Err(refuse("`log` has no value there"));
        }
        Ok(Value::from(match base {
            None => x.ln(),
            Some(10.0) => x.log10(),
            Some(base) => x.ln() / base.ln(),
        }))
    });
    filter(env, names, "pow", "y", |value, args| {
        Ok(Value::from(needed(&value, "pow")?.powf(needed(args.need("y")?, "pow")?)))
    });
    filter(env, names, "root", "base", |value, args| {
        let x = needed(&value, "root")?;
        let base = args.get("base").map(|b| needed(b, "root")).transpose()?.unwrap_or(2.0);
        let out = if base == 2.0 { x.sqrt() } else { x.powf(1.0 / base) };
        if out.is_nan() { Err(refuse("`root` has no value there")) } else { Ok(Value::from(out)) }
    });
    filter(env, names, "abs", "", |value, _| match value.kind() {
        ValueKind::Number if value.is_integer() => {
            let number = i128::try_from(value.clone())?.unsigned_abs();
            Ok(i64::try_from(number).map_or_else(|_| Value::from(number), Value::from))
        }
        _ => Ok(Value::from(needed(&value, "abs")?.abs())),
    });
    filter(env, names, "round", "precision method", |value, args| round(&value, &args));
    filter(env, names, "human_readable", "isbits unit", |value, args| {
        let size = number(&value).ok_or_else(|| refuse("`human_readable` takes a number"))?;
        let unit = args.text("unit")?;
        Ok(Value::from(human_readable(size, args.flag("isbits"), unit.as_deref())))
    });
    filter(env, names, "human_to_bytes", "default_unit isbits", |value, args| {
        let unit = args.text("default_unit")?;
        human_to_bytes(&python::checked_text(&value)?, unit.as_deref(), args.flag("isbits")).map(Value::from)
    });
    filter(env, names, "permutations", "r", |value, args| {
        let list = items(&value)?;
        let size = args.count("r", 1000)?.unwrap_or(list.len());
        let mut out = Vec::new();
        choose(&list, size, true, &mut Vec::new(), &mut out)?;
        Ok(Value::from(out))
    });
    filter(env, names, "combinations", "r", |value, args| {
        let list = items(&value)?;
        args.need("r")?;
        let size = args.count("r", 1000)?.unwrap_or(list.len());
        let mut out = Vec::new();
        choose(&list, size, false, &mut Vec::new(), &mut out)?;
        Ok(Value::from(out))
    });
}

fn needed(value: &Value, name: &str) -> Result<f64, Error> {
    number(value).ok_or_else(|| refuse(format!("`{name}` takes numbers")))
}

/// As Jinja's: always a float, halves to even.
fn round(value: &Value, args: &Args) -> Result<Value, Error> {
    let x = needed(value, "round")?;
    let precision = args.int("precision")?.unwrap_or(0).clamp(-300, 300);
    let method = args.text("method")?.unwrap_or_else(|| "common".into());
    let factor = 10_f64.powi(i32::try_from(precision).unwrap_or(0));
    let whole = integer(value).is_some();
    let out = match method.as_str() {
        "common" if precision >= 0 && !whole => {
            let text = format!("{x:.*}", usize::try_from(precision).unwrap_or(0));
            text.parse().unwrap_or(x)
        }
        "common" => {
            let scaled = x * factor;
            scaled.round_ties_even() / factor
        }
        "ceil" => (x * factor).ceil() / factor,
        "floor" => (x * factor).floor() / factor,
        other => return Err(refuse(format!("`method` of `round` is common, ceil or floor, not `{other}`"))),
    };
    // Python's `round` of a whole number stays whole.
    Ok(if whole && method == "common" { Value::from(out as i64) } else { Value::from(out) })
}

fn choose(
    list: &[Value],
    size: usize,
    ordered: bool,
    taken: &mut Vec<usize>,
    out: &mut Vec<Value>,
) -> Result<(), Error> {
    if size > list.len() {
        return Ok(());
    }
    if taken.len() == size {
        if out.len() >= 100_000 {
            return Err(refuse("there are too many of them"));
        }
        out.push(tuple(taken.iter().map(|n| list[*n].clone()).collect()));
        return Ok(());
    }
    let from = if ordered { 0 } else { taken.last().map_or(0, |n| n + 1) };
    for n in from..list.len() {
        if !taken.contains(&n) {
            taken.push(n);
            choose(list, size, ordered, taken, out)?;
            taken.pop();
        }
    }
    Ok(())
}

const SIZES: [(char, u32); 9] =
    [('Y', 80), ('Z', 70), ('E', 60), ('P', 50), ('T', 40), ('G', 30), ('M', 20), ('K', 10), ('B', 0)];

fn human_readable(size: f64, bits: bool, unit: Option<&str>) -> String {
    let base = if bits { "bits" } else { "Bytes" };
    let fits = |(letter, power): &&(char, u32)| match unit {
        None => size >= 2_f64.powi(*power as i32),
        Some(unit) => unit.to_uppercase() == letter.to_string(),
    };
    let (letter, power) = SIZES.iter().find(fits).unwrap_or(&SIZES[8]);
    let suffix = if *power == 0 { base.to_owned() } else { format!("{letter}{}", &base[..1]) };
    format!("{:.2} {suffix}", size / 2_f64.powi(*power as i32))
}

fn human_to_bytes(text: &str, default: Option<&str>, bits: bool) -> Result<i64, Error> {
    let wrong = || refuse(format!("`{text}` is no size"));
    let trimmed = text.trim_end();
    let digits = trimmed.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(trimmed.len());
    let (count, unit) = trimmed.split_at(digits);
    let number: f64 = count.parse().map_err(|_| wrong())?;
    let unit = unit.trim_start();
    if count.ends_with('.') || !unit.chars().all(|c| c.is_ascii_alphabetic()) {
        return Err(wrong());
    }
    let Some(unit) = (if unit.is_empty() { default } else { Some(unit) }).filter(|u| !u.is_empty()) else {
        return Ok(number.round_ties_even() as i64);
    };
    let letter = unit.chars().next().map_or(' ', |c| c.to_ascii_uppercase());
    let Some((_, power)) = SIZES.iter().find(|(l, _)| *l == letter) else {
        return Err(refuse(format!("`{unit}` is no unit; there are Y, Z, E, P, T, G, M, K, B")));
    };
    let class = if bits { 'b' } else { 'B' };
    let long = ["yotta", "zetta", "exa", "peta", "tera", "giga", "mega", "kilo", ""];
    let name = SIZES.iter().position(|(l, _)| *l == letter).map_or("", |at| long[at]);
    let word = format!("{name}{}", if bits { "bit" } else { "byte" });
    let short = if letter == 'B' { class.to_string() } else { format!("{letter}{class}") };
    if unit.len() > 1 && unit.to_lowercase() != word && unit != short {
        return Err(refuse(format!("`{unit}` is no unit of {}; write `{short}`", if bits { "bits" } else { "bytes" })));
    }
    Ok((number * 2_f64.powi(*power as i32)).round_ties_even() as i64)
}
