//! Output as lines, for people to watch while a program runs.

/// Longer lines are shown cut; what the program wrote is kept whole elsewhere.
const SHOWN: usize = 2000;

/// Splits a stream of bytes into lines. A carriage return ends a line as well: progress bars use it.
#[derive(Default)]
pub struct Lines {
    line: Vec<u8>,
    cut: bool,
}

impl Lines {
    /// Takes the next bytes; calls `show` for each line they complete.
    pub fn push(&mut self, bytes: &[u8], show: &(dyn Fn(&str) + Send + Sync)) {
        for piece in bytes.split_inclusive(|b| matches!(b, b'\n' | b'\r')) {
            let ended = matches!(piece.last(), Some(b'\n' | b'\r'));
            let text = if ended { &piece[..piece.len() - 1] } else { piece };
            let room = SHOWN - self.line.len();
            self.line.extend_from_slice(&text[..text.len().min(room)]);
            self.cut |= text.len() > room;
            if ended {
                self.end(show);
            }
        }
    }

    /// The stream has ended: shows a last line that has no end.
    pub fn end(&mut self, show: &(dyn Fn(&str) + Send + Sync)) {
        if !self.line.is_empty() {
            let mut text = String::from_utf8_lossy(&self.line).into_owned();
            if self.cut {
                text.push('…');
            }
            show(&text);
        }
        self.line.clear();
        self.cut = false;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    fn lines(pieces: &[&[u8]]) -> Vec<String> {
        let seen = Mutex::new(Vec::new());
        let show = |line: &str| seen.lock().unwrap().push(line.to_owned());
        let mut lines = Lines::default();
        for piece in pieces {
            lines.push(piece, &show);
        }
        lines.end(&show);
        seen.into_inner().unwrap()
    }

    #[test]
    fn lines_come_whole_whatever_the_pieces() {
        assert_eq!(lines(&[b"on", b"e\ntwo\r", b"\n\nthr", b"ee"]), ["one", "two", "three"]);
        assert_eq!(lines(&[b"10%\r20%\r"]), ["10%", "20%"]);
        assert_eq!(lines(&[b""]), [""; 0]);
    }

    #[test]
    fn a_huge_line_is_cut_and_bad_bytes_are_shown() {
        let shown = lines(&[&vec![b'x'; 1 << 20], b"\nnext\xff\n"]);
        assert_eq!(shown[0].chars().count(), SHOWN + 1);
        assert!(shown[0].ends_with('…'));
        assert_eq!(shown[1], "next\u{fffd}");
    }
}
