//! The kept corpora of the fuzz targets, through the functions the targets call (see docs/fuzzing.md).
#![allow(clippy::print_stdout)]

#[path = "../fuzz/entries.rs"]
mod entries;

use std::path::Path;

#[test]
fn every_kept_input_has_an_answer() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut bytes = 0;
    for (target, entry) in entries::ALL {
        let mut paths: Vec<_> = std::fs::read_dir(corpus.join(target)).unwrap().flatten().map(|e| e.path()).collect();
        paths.sort();
        assert!(paths.len() >= 5, "{target} has a corpus");
        for path in &paths {
            let data = std::fs::read(path).unwrap();
            bytes += data.len();
            let result = std::panic::catch_unwind(|| entry(&data));
            assert!(result.is_ok(), "{} panics", path.display());
        }
        println!("{target}: {} inputs", paths.len());
    }
    assert!(bytes < 2_000_000, "the corpora are kept small (fuzz/run TARGET min): {bytes} bytes");
}
