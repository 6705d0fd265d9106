//! A host made of a list of expected commands.

use std::sync::{Mutex, PoisonError};

use crate::counters::Counters;
use crate::error::{Kind, TransportError};
use crate::fake::Engine;
use crate::host::{BoxFuture, Command, Host, OnLine, Output, Trips};
use crate::stream::AnyStream;

enum Answer {
    Output(Output),
    Failure(Kind, String),
}

struct Expected {
    argv: Vec<String>,
    stdin: Option<Vec<u8>>,
    answer: Answer,
    always: bool,
    used: bool,
}

/// Answers the commands it was told to expect, each once unless said otherwise, in any order.
/// Anything else is [`Kind::Internal`].
pub struct ScriptedHost {
    name: String,
    expected: Mutex<Vec<Expected>>,
    unknown: Mutex<Vec<String>>,
    engine: Option<Engine>,
    counters: Counters,
}

impl ScriptedHost {
    /// Expects nothing yet.
    pub fn new(name: impl Into<String>) -> Self {
        ScriptedHost {
            name: name.into(),
            expected: Mutex::default(),
            unknown: Mutex::default(),
            engine: None,
            counters: Counters::default(),
        }
    }

    /// Its Docker engine; without it there is none.
    pub fn engine(mut self, engine: Engine) -> Self {
        self.engine = Some(engine);
        self
    }

    /// Expects this command once and answers with exit code and standard output.
    pub fn on<const N: usize>(self, argv: [&str; N], code: i32, stdout: &str) -> Self {
        self.answer(argv, None, Output { code, stdout: stdout.into(), stderr: Vec::new() }, false)
    }

    /// The same, any number of times.
    pub fn always<const N: usize>(self, argv: [&str; N], code: i32, stdout: &str) -> Self {
        self.answer(argv, None, Output { code, stdout: stdout.into(), stderr: Vec::new() }, true)
    }

    /// Expects this command once, with this input.
    pub fn on_input<const N: usize>(self, argv: [&str; N], stdin: &[u8], output: Output) -> Self {
        self.answer(argv, Some(stdin.to_vec()), output, false)
    }

    /// Expects this command once, and fails in the transport.
    pub fn fail<const N: usize>(self, argv: [&str; N], kind: Kind, message: &str) -> Self {
        self.expect(argv, None, Answer::Failure(kind, message.to_owned()), false)
    }

    fn answer<const N: usize>(self, argv: [&str; N], stdin: Option<Vec<u8>>, output: Output, always: bool) -> Self {
        self.expect(argv, stdin, Answer::Output(output), always)
    }

    fn expect<const N: usize>(self, argv: [&str; N], stdin: Option<Vec<u8>>, answer: Answer, always: bool) -> Self {
        let argv = argv.map(str::to_owned).into();
        self.list().push(Expected { argv, stdin, answer, always, used: false });
        self
    }

    /// Panics, naming them, if an expected command was not run or an unexpected one was.
    pub fn finish(&self) {
        let unknown = self.unknown.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let missing: Vec<String> = self.list().iter().filter(|e| !e.used).map(|e| e.argv.join(" ")).collect();
        assert!(unknown.is_empty(), "{}: ran without being expected: {unknown:#?}", self.name);
        assert!(missing.is_empty(), "{}: expected and not run: {missing:#?}", self.name);
        if let Some(engine) = &self.engine {
            engine.finish();
        }
    }

    fn list(&self) -> std::sync::MutexGuard<'_, Vec<Expected>> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, command: &Command, on_line: Option<OnLine<'_>>) -> Result<Output, TransportError> {
        self.counters.exec();
        let input = command.stdin.as_ref().map(|b| b.bytes());
        let mut list = self.list();
        let found = list.iter_mut().find(|e| {
            e.argv == command.argv
                && (e.always || !e.used)
                && e.stdin.as_deref().is_none_or(|wanted| input == Some(wanted))
        });
        let Some(found) = found else {
            let text = command.argv.join(" ");
            self.unknown.lock().unwrap_or_else(PoisonError::into_inner).push(text.clone());
            return Err(TransportError::new(
                Kind::Internal,
                format!("the fake host {} was not told about `{text}`", self.name),
                "add it to the test, or do not run it",
            ));
        };
        found.used = true;
        match &found.answer {
            Answer::Output(output) => {
                if let Some(show) = on_line {
                    let text = output.text();
                    text.lines().for_each(show);
                }
                Ok(output.clone())
            }
            Answer::Failure(kind, message) => Err(TransportError::new(*kind, message.clone(), "")),
        }
    }
}

impl Host for ScriptedHost {
    fn name(&self) -> &str {
        &self.name
    }

    fn exec<'a>(
        &'a self,
        command: Command,
        on_line: Option<OnLine<'a>>,
    ) -> BoxFuture<'a, Result<Output, TransportError>> {
        Box::pin(async move { self.run(&command, on_line) })
    }

    fn docker(&self) -> BoxFuture<'_, Result<crate::docker::Docker, TransportError>> {
        Box::pin(async move {
            match &self.engine {
                Some(engine) => Ok(engine.docker()),
                None => Err(TransportError::new(Kind::NoEngine, format!("{} has no Docker engine", self.name), "")),
            }
        })
    }

    fn tcp<'a>(&'a self, address: &'a str, port: u16) -> BoxFuture<'a, Result<AnyStream, TransportError>> {
        Box::pin(async move {
            let what = format!("{}: nobody said what answers at {address}:{port}", self.name);
            Err(TransportError::new(Kind::Internal, what, ""))
        })
    }

    fn trips(&self) -> Trips {
        let docker_calls = self.engine.as_ref().map_or(0, |e| e.seen().len() as u64);
        Trips { docker_calls, ..self.counters.trips() }
    }
}
