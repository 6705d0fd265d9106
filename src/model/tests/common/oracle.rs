//! The real `ansible-core`, asked through `tests/oracle/ask.py`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine;
use reemo_model::yaml::{Node, Value};
use serde_json::{Value as Json, json};

/// A running oracle; it ends with its standard input.
pub struct Oracle {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

/// How a command ended.
pub struct Answer {
    pub code: i64,
    pub out: String,
    pub err: String,
}

impl Oracle {
    /// Starts the one that `REEMO_ANSIBLE_INVENTORY` (the path of `ansible-inventory`) belongs to.
    pub fn start() -> Option<Oracle> {
        let program = PathBuf::from(std::env::var_os("REEMO_ANSIBLE_INVENTORY")?);
        let text = std::fs::read_to_string(&program).expect("REEMO_ANSIBLE_INVENTORY is the path of a Python script");
        let python = text.lines().next().and_then(|l| l.strip_prefix("#!")).expect("its first line names its Python");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/oracle/ask.py");
        let mut child = Command::new(python.trim())
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the oracle's Python runs");
        let input = child.stdin.take();
        let output = BufReader::new(child.stdout.take().unwrap());
        Some(Oracle { child, input, output })
    }

    fn ask(&mut self, request: &Json) -> Json {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{request}").and_then(|()| input.flush()).expect("the oracle listens");
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap_or_else(|e| panic!("the oracle answers {request} with {line:?}: {e}"))
    }

    /// `ansible-inventory ARGS` in a directory. `strict`: what cannot be parsed is an error.
    pub fn inventory(&mut self, args: &[String], dir: &Path, strict: bool, scripts: bool) -> Answer {
        let answer = self.ask(&json!({"inventory": args, "dir": dir, "strict": strict, "scripts": scripts}));
        let text = |key: &str| answer[key].as_str().unwrap_or_default().to_owned();
        Answer { code: answer["code"].as_i64().unwrap_or(-1), out: text("out"), err: text("err") }
    }

    /// The hosts of each pattern in order; an error's text where Ansible refuses it.
    pub fn patterns(
        &mut self,
        sources: &[String],
        dir: &Path,
        patterns: &[String],
    ) -> Vec<Result<Vec<String>, String>> {
        let answer = self.ask(&json!({"patterns": patterns, "sources": sources, "dir": dir}));
        let hosts = answer["hosts"].as_array().unwrap_or_else(|| panic!("{answer}"));
        let names = |list: &Vec<Json>| list.iter().filter_map(Json::as_str).map(str::to_owned).collect();
        hosts
            .iter()
            .map(|found| found.as_array().map(names).ok_or_else(|| found.as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    /// The value of a file of variables, as [`shown`] shows it.
    pub fn yaml(&mut self, file: &Path) -> Result<Json, String> {
        let mut answer = self.ask(&json!({"yaml": file}));
        match answer.get_mut("value") {
            Some(value) => Ok(value.take()),
            None => Err(answer["error"].as_str().unwrap_or_default().to_owned()),
        }
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// A value with its types, as `ask.py` shows it: `1`, `1.0` and `"1"` differ, and the order of keys counts.
pub fn shown(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(number) => json!({"int": number.to_string()}),
        Value::BigInt(text) => json!({"int": &**text}),
        Value::Float(_) => json!({"float": node.scalar_text()}),
        Value::Str(text) if node.raw => json!({"raw": &**text}),
        Value::Str(text) => Json::from(&**text),
        Value::Timestamp(text) => json!({"time": &**text}),
        Value::Binary(bytes) => json!({"bytes": base64::engine::general_purpose::STANDARD.encode(bytes)}),
        Value::Vault(text) => json!({"vault": &**text}),
        Value::Seq(items) => Json::Array(items.iter().map(shown).collect()),
        Value::Map(map) => {
            let key = |key: &Node| key.as_str().map_or_else(|| shown(key), Json::from);
            json!({"map": map.iter().map(|e| json!([key(&e.key), shown(&e.value)])).collect::<Vec<_>>()})
        }
    }
}
