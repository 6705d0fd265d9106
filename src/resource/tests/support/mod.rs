//! What several test programs of this crate need.
#![allow(dead_code, reason = "each test program uses a part of it")]

use std::io::Write as _;
use std::process::{Command, Stdio};

/// The shells of this machine that a host may have as `sh`.
pub fn shells() -> Vec<Vec<&'static str>> {
    let all = [vec!["sh"], vec!["dash"], vec!["bash"], vec!["busybox", "sh"]];
    let there = |argv: &Vec<&str>| Command::new(argv[0]).arg("--help").stdin(Stdio::null()).output().is_ok();
    let shells: Vec<_> = all.into_iter().filter(there).collect();
    assert!(shells.len() >= 2, "at least sh and one more are on any development machine");
    shells
}

/// Runs a script from standard input, through a pipe as sshd gives it, and returns standard output.
pub fn run(shell: &[&str], script: &str) -> Vec<u8> {
    let mut child = Command::new(shell[0])
        .args(&shell[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let script = script.to_owned();
    let feeder = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap().unwrap();
    output.stdout
}

/// Reproducible randomness (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let word = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(word).unwrap() % limit.max(1)
    }

    pub fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}
