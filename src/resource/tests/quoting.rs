//! What `sh_quote` makes of any text, a real shell reads back as that text.

mod support;

use reemo_model::quote::{join, sh_quote};
use support::{Random, run, shells};

const PIECES: [&str; 34] = [
    "'", "\"", "\\", "$", "`", "$(id)", "${x}", "\n", "\t", " ", "~", "*", "?", "[a]", "!", "#", "&", "|", ";", "<",
    ">", "(", ")", "{", "}", "=", "a", "-", "--", "/", "é", "日本", "if", "\r",
];

#[test]
fn any_word_survives_any_shell() {
    let mut random = Random(7);
    let mut words: Vec<String> = PIECES.iter().map(|p| (*p).to_owned()).collect();
    words.push(String::new());
    for _ in 0..400 {
        let length = random.below(8);
        words.push((0..length).map(|_| *random.one_of(&PIECES)).collect());
    }
    // `\x01` ends each word: no word holds it.
    let script: String = words.iter().map(|w| format!("printf '%s\\001' {}\n", sh_quote(w))).collect();
    for shell in shells() {
        let out = String::from_utf8(run(&shell, &script)).unwrap();
        let read: Vec<&str> = out.split_terminator('\u{1}').collect();
        assert_eq!(read, words, "{shell:?}");
    }
}

#[test]
fn a_program_keeps_its_arguments_apart() {
    let argv = ["printf", "[%s]", "a b", "", "$HOME", "it's", "-n"];
    for shell in shells() {
        assert_eq!(run(&shell, &join(argv)), b"[a b][][$HOME][it's][-n]", "{shell:?}");
    }
}
