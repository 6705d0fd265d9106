//! `strftime` and `to_datetime`, in UTC.

use std::sync::Arc;

use minijinja::{Environment, Error, Value};

use super::filter;
use crate::template::args::{number, refuse};
use crate::template::python;
use crate::template::world::World;

pub(super) fn add(env: &mut Environment<'static>, names: &mut Vec<String>, world: &Arc<dyn World>) {
    let world = Arc::clone(world);
    filter(env, names, "strftime", "second utc", move |value, args| {
        let second = match args.get("second") {
            None => world.now().map_err(refuse)?,
            Some(value) => {
                let text = value.as_str().and_then(|t| t.trim().parse().ok());
                text.or(number(value)).ok_or_else(|| refuse("`second` of `strftime` is no number of seconds"))?
            }
        };
        strftime(&python::checked_text(&value)?, second.floor() as i64).map(Value::from)
    });
    filter(env, names, "to_datetime", "format", |_, _| {
        Err(refuse("`to_datetime` does not exist here; compare times as seconds: `'%s' | strftime`"))
    });
}

const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// Year, month, day of a day counted from 1970-01-01.
fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    (yoe + era * 400 + i64::from(month <= 2), month, doy - (153 * mp + 2) / 5 + 1)
}

fn days_before(year: i64) -> i64 {
    let y = year - 1;
    y * 365 + y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400) - 719_162
}

/// As the C function in the C locale, the time in UTC.
pub(crate) fn strftime(format: &str, second: i64) -> Result<String, Error> {
    let (days, clock) = (second.div_euclid(86_400), second.rem_euclid(86_400));
    if !(-700_000..=2_932_000).contains(&days) {
        return Err(refuse("the time is out of range"));
    }
    let (year, month, day) = civil(days);
    let (hour, minute, sec) = (clock / 3600, clock / 60 % 60, clock % 60);
    let weekday = (days + 4).rem_euclid(7);
    let yearday = days - days_before(year);
    let twelve = if hour % 12 == 0 { 12 } else { hour % 12 };
    let (day_name, month_name) = (DAYS[weekday as usize], MONTHS[month as usize - 1]);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(c) = chars.next() {
        if c != '%' {
            out.push(c);
            continue;
        }
        let Some(mut code) = chars.next() else {
            out.push('%');
            break;
        };
        let bare = code == '-';
        if bare {
            code = chars.next().unwrap_or('-');
        }
        let two = |n: i64| if bare { n.to_string() } else { format!("{n:02}") };
        let week = |from: i64| (yearday + 7 - (weekday + 7 - from) % 7) / 7;
        let text = match code {
            'Y' => year.to_string(),
            'C' => two(year / 100),
            'y' => two(year % 100),
            'm' => two(month),
            'd' => two(day),
            'e' => format!("{day:2}"),
            'H' => two(hour),
            'I' => two(twelve),
            'k' => format!("{hour:2}"),
            'l' => format!("{twelve:2}"),
            'M' => two(minute),
            'S' => two(sec),
            'j' => {
                if bare {
                    (yearday + 1).to_string()
                } else {
                    format!("{:03}", yearday + 1)
                }
            }
            'a' => day_name[..3].to_owned(),
            'A' => day_name.to_owned(),
            'b' | 'h' => month_name[..3].to_owned(),
            'B' => month_name.to_owned(),
            'p' => if hour < 12 { "AM" } else { "PM" }.to_owned(),
            'P' => if hour < 12 { "am" } else { "pm" }.to_owned(),
            'u' => (if weekday == 0 { 7 } else { weekday }).to_string(),
            'w' => weekday.to_string(),
            'U' => two(week(0)),
            'W' => two(week(1)),
            's' => second.to_string(),
            'F' => format!("{year}-{month:02}-{day:02}"),
            'T' | 'X' => format!("{hour:02}:{minute:02}:{sec:02}"),
            'D' | 'x' => format!("{month:02}/{day:02}/{:02}", year % 100),
            'R' => format!("{hour:02}:{minute:02}"),
            'r' => format!("{twelve:02}:{minute:02}:{sec:02} {}", if hour < 12 { "AM" } else { "PM" }),
            'c' => format!("{} {} {day:2} {hour:02}:{minute:02}:{sec:02} {year}", &day_name[..3], &month_name[..3]),
            'z' => "+0000".into(),
            'Z' => "UTC".into(),
            'n' => "\n".into(),
            't' => "\t".into(),
            '%' => "%".into(),
            other => return Err(refuse(format!("`%{other}` of `strftime` does not exist here"))),
        };
        out.push_str(&text);
    }
    Ok(out)
}
