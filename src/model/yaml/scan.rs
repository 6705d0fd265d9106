//! libyaml's events behind a safe iterator. The only `unsafe` of the crate.
//!
//! libyaml is the very scanner and parser Ansible uses, so what it accepts and where it sees an error
//! is the same. Everything is copied out of an event before the event is freed.
#![allow(unsafe_code)]

use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::os::raw::c_char;

use unsafe_libyaml as unsafe_sys;

/// A place in the text, from 0; columns in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub line: usize,
    pub column: usize,
}

/// What libyaml found wrong.
#[derive(Clone, Debug)]
pub(super) struct Problem {
    /// `did not find expected key`.
    pub what: String,
    pub at: Mark,
    /// `while parsing a block mapping`.
    pub context: String,
    pub context_at: Mark,
}

/// An event with its extent.
#[derive(Debug)]
pub(super) struct Event {
    pub kind: Kind,
    pub start: Mark,
    pub end: Mark,
}

#[derive(Debug)]
pub(super) enum Kind {
    StreamStart,
    StreamEnd,
    DocumentStart,
    DocumentEnd,
    Alias(String),
    Scalar(Scalar),
    SeqStart { anchor: Option<String>, tag: Option<String> },
    SeqEnd,
    MapStart { anchor: Option<String>, tag: Option<String> },
    MapEnd,
}

#[derive(Debug)]
pub(super) struct Scalar {
    pub anchor: Option<String>,
    pub tag: Option<String>,
    pub value: String,
    /// May be resolved as a plain scalar.
    pub plain: bool,
}

/// The events of a text, in order; ends after the end of the stream or the first problem.
pub(super) struct Events<'a> {
    // Boxed: libyaml keeps pointers into the parser.
    parser: Box<MaybeUninit<unsafe_sys::yaml_parser_t>>,
    done: bool,
    text: PhantomData<&'a str>,
}

impl<'a> Events<'a> {
    /// Reads from a text.
    pub fn new(text: &'a str) -> Option<Self> {
        let mut parser = Box::new(MaybeUninit::<unsafe_sys::yaml_parser_t>::uninit());
        // SAFETY: `parser` is a fresh allocation that does not move; the text outlives it by `'a`.
        unsafe {
            if unsafe_sys::yaml_parser_initialize(parser.as_mut_ptr()).fail {
                return None;
            }
            // The encoding is not set: libyaml finds UTF-8 (a `str` can be nothing else) and skips its mark.
            unsafe_sys::yaml_parser_set_input_string(parser.as_mut_ptr(), text.as_ptr(), text.len() as u64);
        }
        Some(Events { parser, done: false, text: PhantomData })
    }

    fn problem(&self) -> Problem {
        // SAFETY: initialised in `new`; the messages are static strings of libyaml or null.
        unsafe {
            let parser = &*self.parser.as_ptr();
            Problem {
                what: static_text(parser.problem.cast()),
                at: mark(&parser.problem_mark),
                context: static_text(parser.context.cast()),
                context_at: mark(&parser.context_mark),
            }
        }
    }
}

impl Iterator for Events<'_> {
    type Item = Result<Event, Problem>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let mut event = MaybeUninit::<unsafe_sys::yaml_event_t>::uninit();
        // SAFETY: the parser is initialised and not in an error state (`done` is set on error); the
        // event is initialised by a successful parse, read, and deleted exactly once.
        unsafe {
            if unsafe_sys::yaml_parser_parse(self.parser.as_mut_ptr(), event.as_mut_ptr()).fail {
                self.done = true;
                return Some(Err(self.problem()));
            }
            let raw = &*event.as_ptr();
            let read = kind(raw).map(|kind| Event { kind, start: mark(&raw.start_mark), end: mark(&raw.end_mark) });
            unsafe_sys::yaml_event_delete(event.as_mut_ptr());
            match read {
                Some(event) => {
                    self.done = matches!(event.kind, Kind::StreamEnd);
                    Some(Ok(event))
                }
                None => {
                    self.done = true;
                    None
                }
            }
        }
    }
}

impl Drop for Events<'_> {
    fn drop(&mut self) {
        // SAFETY: initialised in `new`, deleted once.
        unsafe { unsafe_sys::yaml_parser_delete(self.parser.as_mut_ptr()) }
    }
}

fn mark(mark: &unsafe_sys::yaml_mark_t) -> Mark {
    Mark { line: mark.line as usize, column: mark.column as usize }
}

/// SAFETY: the event was initialised by a successful parse and is not yet deleted.
unsafe fn kind(event: &unsafe_sys::yaml_event_t) -> Option<Kind> {
    // SAFETY: the member of the union that is read is the one `type_` names.
    unsafe {
        Some(match event.type_ {
            unsafe_sys::YAML_STREAM_START_EVENT => Kind::StreamStart,
            unsafe_sys::YAML_STREAM_END_EVENT => Kind::StreamEnd,
            unsafe_sys::YAML_DOCUMENT_START_EVENT => Kind::DocumentStart,
            unsafe_sys::YAML_DOCUMENT_END_EVENT => Kind::DocumentEnd,
            unsafe_sys::YAML_ALIAS_EVENT => Kind::Alias(owned(event.data.alias.anchor).unwrap_or_default()),
            unsafe_sys::YAML_SCALAR_EVENT => {
                let scalar = &event.data.scalar;
                let bytes = if scalar.value.is_null() {
                    &[]
                } else {
                    std::slice::from_raw_parts(scalar.value, scalar.length as usize)
                };
                Kind::Scalar(Scalar {
                    anchor: owned(scalar.anchor),
                    tag: owned(scalar.tag),
                    value: String::from_utf8_lossy(bytes).into_owned(),
                    plain: scalar.plain_implicit,
                })
            }
            unsafe_sys::YAML_SEQUENCE_START_EVENT => {
                let start = &event.data.sequence_start;
                Kind::SeqStart { anchor: owned(start.anchor), tag: owned(start.tag) }
            }
            unsafe_sys::YAML_SEQUENCE_END_EVENT => Kind::SeqEnd,
            unsafe_sys::YAML_MAPPING_START_EVENT => {
                let start = &event.data.mapping_start;
                Kind::MapStart { anchor: owned(start.anchor), tag: owned(start.tag) }
            }
            unsafe_sys::YAML_MAPPING_END_EVENT => Kind::MapEnd,
            _ => return None,
        })
    }
}

/// SAFETY: null, or a NUL-terminated string that lives during the call.
unsafe fn owned(text: *const u8) -> Option<String> {
    // SAFETY: as above.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text.cast::<c_char>()) }.to_string_lossy().into_owned())
}

/// SAFETY: null, or a NUL-terminated static string.
unsafe fn static_text(text: *const c_char) -> String {
    // SAFETY: as above.
    unsafe { owned(text.cast()) }.unwrap_or_default()
}
