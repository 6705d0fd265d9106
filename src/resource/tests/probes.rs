//! The probe script in real shells: nothing one probe does reaches another.

mod support;

use reemo_resource::probe::{Probe, ProbeError, ProbeOutputs, parse, script};
use support::{run, shells};

const MARK: &str = "x7Qd02kLmZp9";

fn ask(shell: &[&str], probes: &[Probe]) -> ProbeOutputs {
    parse(&run(shell, &script(probes, MARK)), MARK).unwrap()
}

#[test]
fn answers_come_back_as_they_were() {
    // Every byte but NUL, which no shell variable holds.
    let bytes: Vec<u8> = (1..=255).collect();
    let escaped: String = bytes.iter().map(|b| format!("\\{b:03o}")).collect();
    let probes = [
        Probe::new("bytes", format!("printf '{escaped}'")),
        Probe::new("newlines", "printf '\\n\\na\\n\\n\\n'"),
        Probe::new("nothing", ":"),
        Probe::new("code", "echo out; echo noise >&2; exit 7"),
        Probe::new("reads-stdin", "cat; echo end"),
        Probe::new("quotes", "echo \"it's\" '$HOME'"),
        Probe::new("like-a-frame", "printf '\\n%s begin quotes 3\\nabc\\n' wrong"),
        Probe::new("long-line", "head -c 200000 /dev/zero | tr '\\0' x"),
        Probe::new("no-such-program", "no-such-program-here 2>&1; exit $?"),
    ];
    for shell in shells() {
        let outputs = ask(&shell, &probes);
        let out = |id: &str| (outputs[id].code, outputs[id].out.as_slice());
        assert_eq!(out("bytes"), (Some(0), bytes.as_slice()), "{shell:?}");
        assert_eq!(out("newlines"), (Some(0), &b"\n\na\n\n\n"[..]), "{shell:?}");
        assert_eq!(out("nothing"), (Some(0), &b""[..]), "{shell:?}");
        assert_eq!(out("code"), (Some(7), &b"out\n"[..]), "{shell:?}");
        assert_eq!(out("reads-stdin"), (Some(0), &b"end\n"[..]), "{shell:?}");
        assert_eq!(out("quotes"), (Some(0), &b"it's $HOME\n"[..]), "{shell:?}");
        assert_eq!(out("like-a-frame"), (Some(0), &b"\nwrong begin quotes 3\nabc\n"[..]), "{shell:?}");
        assert_eq!(out("long-line"), (Some(0), [b'x'; 200_000].as_slice()), "{shell:?}");
        assert_eq!(outputs["no-such-program"].code, Some(127), "{shell:?}");
        assert_eq!(outputs.len(), probes.len());
    }
}

#[test]
fn stuck_and_chatty_probes_spoil_nothing() {
    let probes = [
        Probe::new("before", "echo 1"),
        Probe { limit_s: 1, ..Probe::new("stuck", "echo half; sleep 4; echo never") },
        Probe { limit_s: 1, ..Probe::new("deaf", "trap '' TERM; while :; do sleep 1; done") },
        Probe { cap: 1000, ..Probe::new("chatty", "while :; do echo yyyyyyyyyyyyyyyyyyyy; done") },
        Probe { cap: 10, ..Probe::new("just-fits", "printf 1234567890") },
        Probe { cap: 10, ..Probe::new("just-not", "printf 12345678901234") },
        Probe::new("after", "echo 2"),
    ];
    // All shells at once: each waits for its stuck probes.
    std::thread::scope(|scope| {
        for shell in shells() {
            let probes = &probes;
            scope.spawn(move || {
                let outputs = ask(&shell, probes);
                assert_eq!((outputs["before"].text(), outputs["after"].text()), (Ok("1\n"), Ok("2\n")), "{shell:?}");
                for id in ["stuck", "deaf"] {
                    let late = Err("no answer within the time limit".to_owned());
                    assert_eq!(outputs[id].text(), late, "{shell:?} {id}");
                }
                for id in ["chatty", "just-not"] {
                    assert_eq!(outputs[id].text(), Err("the answer was too long".to_owned()), "{shell:?} {id}");
                }
                assert_eq!(outputs["just-fits"].text(), Ok("1234567890"), "{shell:?}");
            });
        }
    });
}

#[test]
fn a_cut_with_zeros_in_it_is_not_taken_for_an_answer() {
    // The shell drops NULs, so what is left is shorter than the cap; its last line looks like a code.
    let probe = Probe { cap: 64, ..Probe::new("zeros", "head -c 100 /dev/zero; printf '\\n0'; head -c 999 /dev/zero") };
    for shell in shells() {
        assert!(ask(&shell, std::slice::from_ref(&probe))["zeros"].text().is_err(), "{shell:?}");
    }
}

#[test]
fn a_script_without_probes() {
    for shell in shells() {
        assert!(ask(&shell, &[]).is_empty());
    }
}

#[test]
fn a_host_without_our_shell_is_told_by_its_own_words() {
    let said = b"This account is currently not available.\n";
    let error = parse(said, MARK).unwrap_err();
    assert_eq!(error, ProbeError::NothingOfOurs { said: "This account is currently not available.".to_owned() });
}
