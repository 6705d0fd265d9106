//! Lines on the standard output, where Docker's syslog driver takes them: people grep them on the nodes.
#![allow(clippy::print_stdout)]

use std::time::{SystemTime, UNIX_EPOCH};

/// Prints one line.
pub fn line(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    // A closed output is no reason to stop serving.
    let _ = writeln!(out, "{text}");
    let _ = out.flush();
}

/// One request, as in the access log of a web server.
#[derive(Debug)]
pub struct Access<'a> {
    /// Address of the client.
    pub client: &'a str,
    /// Name in the peer's certificate.
    pub peer: &'a str,
    /// Method, path and protocol.
    pub request: &'a str,
    /// Answer.
    pub status: u16,
    /// Size of the answer.
    pub bytes: u64,
}

impl Access<'_> {
    /// The line in common log format.
    pub fn common(&self, at: SystemTime) -> String {
        let Access { client, peer, request, status, bytes } = self;
        format!("{client} - {peer} [{}] \"{}\" {status} {bytes}", stamp(at), request.replace(['"', '\r', '\n'], "_"))
    }
}

/// `21/Nov/2026:04:02:44 +0000`.
fn stamp(at: SystemTime) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let seconds = at.duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{day:02}/{}/{year}:{hour:02}:{minute:02}:{second:02} +0000", MONTHS[month as usize - 1])
}

/// Year, month and day of a day counted from 1970-01-01, by counting 400-year cycles that begin in March.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year + era * 400 + u64::from(month <= 2), month, day - (153 * shifted + 2) / 5 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn dates() {
        assert_eq!(stamp(UNIX_EPOCH), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(stamp(UNIX_EPOCH + Duration::from_secs(951_782_400)), "29/Feb/2000:00:00:00 +0000");
        assert_eq!(stamp(UNIX_EPOCH + Duration::from_secs(1_795_233_764)), "21/Nov/2026:04:02:44 +0000");
    }

    #[test]
    fn the_seeds_grep_finds_a_failure() {
        let line = Access { client: "10.0.0.9", peer: "traefik", request: "GET /x HTTP/1.1", status: 502, bytes: 12 };
        let line = line.common(UNIX_EPOCH);
        assert_eq!(line, "10.0.0.9 - traefik [01/Jan/1970:00:00:00 +0000] \"GET /x HTTP/1.1\" 502 12");
    }

    #[test]
    fn a_request_cannot_forge_a_line() {
        let line = Access { client: "-", peer: "-", request: "GET /\" 200 1\nx", status: 404, bytes: 0 };
        assert!(!line.common(UNIX_EPOCH).contains('\n'));
    }
}
