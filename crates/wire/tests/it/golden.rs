//! Transcripts of agents, in the style of real ones: what each agent wrote, and what we make of it.
//!
//! A directory of `NAME.ndjson`, an agent's standard output, each beside `NAME.expected`. What we asked is told by
//! the ids of the answers, `N.METHOD`. Where they differ the actual outcome is left in cargo's temporary directory.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use trunkline_wire::acp::merge::{Merger, Pushed};
use trunkline_wire::acp::{self, UpdateView, method, tool_name};
use trunkline_wire::jsonrpc::{
    self, ErrorObject, Id, Incoming, Message, Notification, Outgoing, Request, Response,
};
use trunkline_wire::ndjson;

/// The longest line the transcripts may have; one of them has a longer one.
const MAX_LINE: usize = 2000;

#[test]
fn transcripts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/acp");
    let files = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path());
    let mut inputs: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|ext| ext == "ndjson")).collect();
    inputs.sort();
    assert!(inputs.len() >= 5, "the transcripts are there");
    let mut failed = Vec::new();
    for input in inputs {
        let actual = Client::new().read(&std::fs::read(&input).unwrap());
        let expected = input.with_extension("expected");
        if std::fs::read_to_string(&expected).ok().as_ref() != Some(&actual) {
            let kept = Path::new(env!("CARGO_TARGET_TMPDIR")).join(expected.file_name().unwrap());
            std::fs::write(&kept, &actual).unwrap();
            failed.push(format!("diff {} {}", expected.display(), kept.display()));
        }
    }
    assert!(failed.is_empty(), "these differ:\n{}", failed.join("\n"));
}

/// A client that writes down what it sees and what it would answer.
struct Client {
    outgoing: Outgoing<&'static str>,
    incoming: Incoming<String>,
    merger: Merger,
    out: String,
}

impl Client {
    fn new() -> Self {
        let mut outgoing = Outgoing::new(10);
        for asked in [method::INITIALIZE, method::SESSION_NEW, method::SESSION_LOAD, method::SESSION_PROMPT] {
            outgoing.insert(format!("1.{asked}"), asked).unwrap();
        }
        Self { outgoing, incoming: Incoming::new(10), merger: Merger::default(), out: String::new() }
    }

    fn read(mut self, bytes: &[u8]) -> String {
        let mut decoder = ndjson::Decoder::new(MAX_LINE);
        decoder.push(bytes);
        while let Some(line) = decoder.finish() {
            match line.text {
                Ok(text) => self.line(&text),
                Err(error) => self.note("noise", error),
            }
        }
        self.flush();
        for (id, _) in self.incoming.drain().collect::<Vec<_>>() {
            self.refuse(&id, &ErrorObject::new(jsonrpc::code::INTERNAL_ERROR, "the session has ended"));
        }
        self.out
    }

    fn line(&mut self, text: &[u8]) {
        match Message::parse(text) {
            Ok(Message::Notification(Notification { method, params }))
                if method == method::SESSION_UPDATE =>
            {
                match jsonrpc::parse_params::<acp::SessionNotification<'_>>(params) {
                    Ok(notification) => self.update(notification.update),
                    Err(error) => self.note("noise", error),
                }
            }
            Ok(Message::Notification(Notification { method, .. })) => {
                self.note("unknown notification", method);
            }
            Ok(Message::Response(response)) => self.response(&response),
            Ok(Message::Request(request)) => self.request(&request),
            Err(error) => match error.request() {
                Some(id) => {
                    self.refuse(id, &ErrorObject::new(jsonrpc::code::INVALID_REQUEST, error.to_string()));
                }
                None => self.note("noise", error),
            },
        }
    }

    fn update(&mut self, update: &RawValue) {
        match self.merger.push(update) {
            Pushed::Held | Pushed::Ready => {}
            Pushed::Gauge { kind, raw } => writeln!(self.out, "gauge {kind:?}: {raw}").unwrap(),
            Pushed::Dropped => writeln!(self.out, "dropped: {update}").unwrap(),
        }
    }

    fn response(&mut self, Response { id, outcome }: &Response<'_>) {
        let Some(asked) = self.outgoing.take(id) else { return self.note("answer to nothing", id) };
        match outcome {
            Err(error) => self.note(&format!("{asked} failed"), error),
            Ok(result) => {
                let read = match asked {
                    method::INITIALIZE => typed::<acp::InitializeResponse>(result),
                    method::SESSION_NEW => typed::<acp::NewSessionResponse>(result),
                    method::SESSION_LOAD => typed::<Option<acp::LoadSessionResponse>>(result),
                    method::SESSION_PROMPT => typed::<acp::PromptResponse>(result),
                    other => panic!("{other} was not asked"),
                };
                self.note(asked, read.unwrap_or_else(|error| error.to_string()));
            }
        }
    }

    fn request(&mut self, Request { id, method, params }: &Request<'_>) {
        let Some(params) = *params else { return self.refuse(id, &ErrorObject::invalid_params("none")) };
        let read = match &**method {
            method::SESSION_REQUEST_PERMISSION => typed::<acp::RequestPermissionRequest>(params),
            method::FS_READ_TEXT_FILE => typed::<acp::ReadTextFileRequest>(params),
            method::FS_WRITE_TEXT_FILE => typed::<acp::WriteTextFileRequest>(params),
            method::TERMINAL_CREATE => typed::<acp::CreateTerminalRequest>(params),
            method::TERMINAL_OUTPUT | method::TERMINAL_WAIT_FOR_EXIT | method::TERMINAL_KILL => {
                typed::<acp::TerminalRequest>(params)
            }
            method::TERMINAL_RELEASE => typed::<acp::TerminalRequest>(params),
            unknown => return self.refuse(id, &ErrorObject::method_not_found(unknown)),
        };
        match read {
            Err(error) => self.refuse(id, &ErrorObject::invalid_params(error)),
            Ok(read) => {
                self.note(&format!("request {id} {method}"), read);
                match self.incoming.insert(id.clone(), method.clone().into_owned()) {
                    Ok(()) => self.permit(id, method, params),
                    Err(error) => self.note("not admitted", error),
                }
            }
        }
    }

    /// Permissions are given by the first option; the other requests are left to the end.
    fn permit(&mut self, id: &Id, method: &str, params: &RawValue) {
        if method == method::SESSION_REQUEST_PERMISSION {
            let asked: acp::RequestPermissionRequest = serde_json::from_str(params.get()).unwrap();
            let option_id = asked.options[0].option_id.clone();
            let outcome = acp::RequestPermissionOutcome::Selected { option_id };
            let mut line = Vec::new();
            jsonrpc::write_result(&mut line, id, &acp::RequestPermissionResponse { outcome }).unwrap();
            self.incoming.take(id).unwrap();
            self.answer(&line);
        }
    }

    fn refuse(&mut self, id: &Id, error: &ErrorObject) {
        let mut line = Vec::new();
        jsonrpc::write_error(&mut line, id, error);
        self.answer(&line);
    }

    fn answer(&mut self, line: &[u8]) {
        self.note("we answer", String::from_utf8_lossy(line).trim_end());
    }

    /// Writes down what is not an update, behind the updates that came before.
    fn note(&mut self, what: &str, of: impl fmt::Display) {
        self.flush();
        writeln!(self.out, "{what}: {of}").unwrap();
    }

    fn flush(&mut self) {
        for update in self.merger.flush() {
            match tool_name(&UpdateView::of(&update)) {
                Some(tool) => writeln!(self.out, "update of {tool}: {update}").unwrap(),
                None => writeln!(self.out, "update: {update}").unwrap(),
            }
        }
    }
}

/// Reads a message by its type and writes it as we would.
fn typed<T: DeserializeOwned + Serialize>(raw: &RawValue) -> Result<String, serde_json::Error> {
    serde_json::from_str::<T>(raw.get()).and_then(|message| serde_json::to_string(&message))
}
