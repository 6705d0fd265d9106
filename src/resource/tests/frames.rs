//! A damaged answer is refused or read as it was meant, never misread.

mod support;

use std::fmt::Write as _;

use reemo_resource::probe::{ProbeError, ProbeOutputs, parse};
use support::Random;

const MARK: &str = "x7Qd02kLmZp9";

/// A stream as the script writes it.
fn stream(answers: &[(&str, &str, u8)]) -> Vec<u8> {
    let mut text = String::new();
    for (id, out, code) in answers {
        let body = format!("{out}\n{code} {MARK}");
        let n = body.len();
        let _ = write!(text, "\n{MARK} begin {id} {n}\n{body}\n{MARK} end {id} {n}\n");
    }
    let _ = write!(text, "\n{MARK} done {}\n", answers.len());
    text.into_bytes()
}

fn whole() -> (Vec<u8>, ProbeOutputs) {
    let stream = stream(&[("facts", "uname\tx 6.1 x86_64\n", 0), ("b", "1\n0\n", 1), ("c", "", 0), ("d", "12\n", 12)]);
    let outputs = parse(&stream, MARK).unwrap();
    assert_eq!(outputs.len(), 4);
    assert_eq!((outputs["d"].code, outputs["d"].out.as_slice()), (Some(12), &b"12\n"[..]));
    (stream, outputs)
}

#[test]
fn every_cut_is_noticed() {
    let (stream, _) = whole();
    for length in 0..stream.len() {
        assert!(parse(&stream[..length], MARK).is_err(), "cut at {length}");
    }
}

#[test]
fn whatever_is_inserted_doubled_or_lost() {
    let (stream, meant) = whole();
    let mut random = Random(11);
    let inserts: [&[u8]; 10] =
        [b"0", b"1", b"\n", b" ", b"\nbegin facts 3\n", b"kernel: oops\n", b"\xff\xfe", b"\0", b"end", b"\n0 "];
    let mut refused = 0;
    for _ in 0..20_000 {
        let mut mutant = stream.clone();
        let at = random.below(mutant.len() + 1);
        match random.below(3) {
            0 => drop(mutant.splice(at..at, random.one_of(&inserts).iter().copied())),
            1 => {
                let end = (at + 1 + random.below(40)).min(mutant.len());
                let piece = mutant[at.min(end)..end].to_vec();
                drop(mutant.splice(at..at, piece));
            }
            _ => {
                let end = (at + 1 + random.below(40)).min(mutant.len());
                mutant.drain(at.min(end)..end);
            }
        }
        match parse(&mutant, MARK) {
            Ok(read) => assert_eq!(read, meant, "{:?}", String::from_utf8_lossy(&mutant)),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > 10_000, "most mutants touch a frame: {refused}");
}

#[test]
fn any_bytes_at_all() {
    let mut random = Random(3);
    let pieces: [&[u8]; 12] = [
        b"\n",
        MARK.as_bytes(),
        b" begin ",
        b" end ",
        b" done ",
        b"a ",
        b"9",
        b"99999999999999999999",
        b"\xff",
        b"\0",
        b"18446744073709551615",
        b"0 ",
    ];
    for _ in 0..50_000 {
        let length = random.below(14);
        let bytes: Vec<u8> = (0..length).flat_map(|_| random.one_of(&pieces).to_vec()).collect();
        let _ = parse(&bytes, MARK);
    }
}

#[test]
fn banners_around_frames_are_passed_over() {
    let (stream, meant) = whole();
    let mut noisy = vec![b'='; 1_000_000];
    noisy.extend_from_slice(b"\n** Authorised use only **\n\xff\xfe begin 1 2\n");
    noisy.extend_from_slice(&stream);
    noisy.extend_from_slice(b"logout\n");
    assert_eq!(parse(&noisy, MARK).unwrap(), meant);
    // Without a newline before it, the first frame still stands on a line of its own.
    let mut joined = b"$ ".to_vec();
    joined.extend_from_slice(&stream);
    assert_eq!(parse(&joined, MARK).unwrap(), meant);
}

#[test]
fn another_runs_answer_is_not_ours() {
    let (stream, _) = whole();
    assert!(matches!(parse(&stream, "another-mark"), Err(ProbeError::NothingOfOurs { .. })));
}

#[test]
fn a_frame_that_came_twice_is_refused() {
    let twice = stream(&[("a", "1", 0), ("a", "2", 0)]);
    assert!(matches!(parse(&twice, MARK), Err(ProbeError::Damaged { .. })));
}
