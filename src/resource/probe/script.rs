//! From probes to the one script.

use std::fmt::Write as _;

use reemo_model::quote::sh_quote;

use super::Probe;

/// What runs before the first probe.
///
/// * bash reads a script on a pipe byte by byte: it is told to take the rest at once.
/// * The path is only added to: a login without `sbin` would not find `ip` or `modprobe`.
/// * Not every host has `timeout`, and busybox's did not always know `-k`. One that is neither a link
///   nor busybox itself is not tried out: that would cost two processes.
const HEAD: &str = r#"if [ -n "${BASH_VERSION:-}" ]; then eval "$(cat)"; exit; fi
LC_ALL=C; export LC_ALL
PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin"; export PATH
limit=
if program=$(command -v timeout); then
limit='timeout -k 1'
if [ -L "$program" ] || [ "$program" -ef /bin/busybox ]; then
timeout -k 1 9 true 2>/dev/null || limit=timeout
fi
fi
"#;

/// Runs one probe: id, seconds, cap in bytes, text.
///
/// The exit code follows the output on a line of its own, inside what is captured, and the mark
/// follows the code: `head` cuts all three, so a capture without the mark is known to be too long.
/// The trailing line also keeps command substitution from eating newlines that belong to the output.
///
/// All probes run at once, each a stage of one pipeline, and write to the script's output (3) when the
/// stage before them has ended, which its closed pipe tells; nothing is ever sent down that pipe. So
/// frames never mix, and the script takes as long as its slowest probe.
const RUN: &str = r#"ask() {
if [ -n "$limit" ]; then
answer=$({ $limit "$2" sh -c "$4" </dev/null 2>/dev/null 3>&-; printf '\n%d %s' "$?" "$mark"; } | head -c "$3")
else
answer=$({ sh -c "$4" </dev/null 2>/dev/null 3>&-; printf '\n%d %s' "$?" "$mark"; } | head -c "$3")
fi
read -r nothing
printf '\n%s begin %s %d\n%s\n%s end %s %d\n' "$mark" "$1" "${#answer}" "$answer" "$mark" "$1" "${#answer}" >&3
}
exec 3>&1
"#;

/// The script that asks all of it, for the standard input of one `sh`.
///
/// `delimiter` must be fresh random text for every run (letters and digits): it is what tells our
/// frames from anything else on the stream. It is known to that one `sh` only, not to the probes.
pub fn script(probes: &[Probe], delimiter: &str) -> String {
    let mut text = String::from(HEAD);
    let _ = writeln!(text, "mark={}", sh_quote(delimiter));
    text.push_str(RUN);
    // The first has none before it to wait for.
    text.push_str("true </dev/null");
    for probe in probes {
        let (id, sh) = (sh_quote(&probe.id), sh_quote(&probe.sh));
        // Room for the line with the exit code and the mark.
        let bytes = probe.cap + "\n255 ".len() + delimiter.len();
        let _ = write!(text, " |\nask {id} {} {bytes} {sh}", probe.limit_s);
    }
    let _ = write!(text, "\nprintf '\\n%s done %d\\n' \"$mark\" {}\n", probes.len());
    text
}
