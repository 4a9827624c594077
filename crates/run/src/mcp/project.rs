//! The servers that a workspace brings, in a file of the form that has become usual: `{"mcpServers": {"name": {"command": …}}}`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};
use trunkline_core::mcp::{Server, check_server_name};
use trunkline_wire::model::Secret;

use super::{Defined, Source};
use crate::acp::files::Files;

/// Where the file is, the first that is there.
const FILES: [&str; 2] = [".trunkline/mcp.json", ".mcp.json"];
/// That of the original engine, whose commands are lines. What it names counts where the other names nothing of that name.
const KOLLAB: &str = ".kollab/mcp/mcp_settings.json";
/// How much of it is read, in bytes.
const MAX_BYTES: u64 = 256 << 10;
/// How many servers it may name.
const MAX_SERVERS: usize = 50;

#[derive(Deserialize)]
struct File {
    #[serde(rename = "mcpServers", alias = "servers", default)]
    servers: BTreeMap<String, Value>,
}

/// What programs write there. What else they write is theirs.
#[derive(Deserialize)]
struct Entry {
    command: Option<String>,
    #[serde(default)]
    args: Vec<String>,
    #[serde(default)]
    env: BTreeMap<String, String>,
    url: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    description: String,
    enabled: Option<bool>,
    #[serde(default)]
    disabled: bool,
}

/// Reads it: the servers that can be, and what is wrong with the others. No link is followed. Blocks.
pub(super) fn read(workspace: &Path) -> (Vec<Defined>, Option<String>) {
    let Ok(files) = Files::open(workspace) else { return (Vec::new(), None) };
    let file = |name: &'static str| Some((name, files.bytes(Path::new(name), MAX_BYTES + 1).ok()?));
    let usual = FILES.into_iter().find_map(file);
    let (mut defined, mut wrong): (Vec<Defined>, Vec<String>) = (Vec::new(), Vec::new());
    for (name, bytes) in usual.into_iter().chain(file(KOLLAB)) {
        let (more, why) = parse(name, &bytes);
        wrong.extend(why);
        for one in more {
            if defined.len() < MAX_SERVERS && defined.iter().all(|other| other.name != one.name) {
                defined.push(one);
            }
        }
    }
    (defined, (!wrong.is_empty()).then(|| wrong.join("; ")))
}

fn parse(name: &str, bytes: &[u8]) -> (Vec<Defined>, Option<String>) {
    let whole = u64::try_from(bytes.len()).is_ok_and(|len| len <= MAX_BYTES);
    if !whole {
        return (Vec::new(), Some(format!("{name} is not read: it has more than {MAX_BYTES} bytes")));
    }
    let file: File = match serde_json::from_slice(bytes) {
        Ok(file) => file,
        // An error of the parser may quote a value, which may be a secret.
        Err(error) => {
            let why = format!("{name} is not read: line {} is no such JSON", error.line());
            return (Vec::new(), Some(why));
        }
    };
    let (mut defined, mut wrong) = (Vec::new(), Vec::new());
    for (server, entry) in file.servers {
        match define(&server, entry, name == KOLLAB) {
            Ok(_) if defined.len() == MAX_SERVERS => {
                wrong.push(format!("{name} has more than {MAX_SERVERS} servers"));
                break;
            }
            Ok(one) => defined.push(one),
            Err(why) => wrong.push(format!("{name}: {server}: {why}")),
        }
    }
    (defined, (!wrong.is_empty()).then(|| wrong.join("; ")))
}

fn define(name: &str, entry: Value, is_line: bool) -> Result<Defined, String> {
    check_server_name(name).map_err(|why| why.to_string())?;
    let told = entry.to_string();
    let mut entry: Entry =
        serde_json::from_value(entry).map_err(|_| "is no definition of a server".to_owned())?;
    if let (true, Some(line)) = (is_line, &entry.command) {
        let mut words = trunkline_wire::engine::command_words(line)
            .map_err(|why| format!("its command {why}"))?
            .into_iter();
        entry.command = words.next();
        entry.args = words.chain(entry.args).collect();
    }
    let server = Server {
        command: entry.command,
        args: entry.args,
        env: entry.env.keys().cloned().collect(),
        url: entry.url,
        headers: entry.headers.keys().cloned().collect(),
        description: entry.description,
        enabled: entry.enabled.unwrap_or(!entry.disabled),
        ..Server::default()
    };
    server.check().map_err(|why| why.to_string())?;
    let secrets = |values: BTreeMap<String, String>| -> Vec<(String, Secret)> {
        values.into_iter().map(|(name, value)| (name, Secret::new(value))).collect()
    };
    Ok(Defined {
        name: name.to_owned(),
        source: Source::Project,
        server,
        env: secrets(entry.env),
        headers: secrets(entry.headers),
        fingerprint: Some(fingerprint(name, &told)),
        why: None,
    })
}

/// A hash of all that is said of a server, its values included.
fn fingerprint(name: &str, told: &str) -> String {
    let mut hash = Sha256::new();
    hash.update(name.as_bytes());
    hash.update([0]);
    hash.update(told.as_bytes());
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(path: &str, text: &str) -> (Vec<Defined>, Option<String>) {
        let workspace = tempfile::tempdir().unwrap();
        let file = workspace.path().join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
        read(workspace.path())
    }

    #[test]
    fn a_projects_file_is_read_in_its_usual_form() {
        let text = r#"{"mcpServers":{"b":{"type":"http","url":"http://127.0.0.1:1/mcp","disabled":true},
            "a":{"command":"npx","args":["-y","x"],"env":{"K":"canary"},"alwaysAllow":["x"]}}}"#;
        let (defined, trouble) = written(".mcp.json", text);
        assert_eq!((defined.len(), trouble), (2, None));
        let a = &defined[0];
        assert_eq!((a.name.as_str(), a.server.args.len(), a.enabled()), ("a", 2, true));
        assert_eq!(a.env, [("K".to_owned(), Secret::new("canary"))]);
        assert!(!defined[1].enabled() && defined[1].server.url.is_some());
        let (again, _) = written(".trunkline/mcp.json", &text.replace("canary", "other"));
        assert_ne!(a.fingerprint, again[0].fingerprint, "another value is another definition");
        assert_eq!(defined[1].fingerprint, again[1].fingerprint);
    }

    #[test]
    fn what_is_wrong_is_said_without_quoting_it() {
        let (defined, trouble) = written(
            ".mcp.json",
            r#"{"mcpServers":{"a":{"command":"x"},"b":{"args":"canary"},"c__d":{"command":"x"},"e":{}}}"#,
        );
        let trouble = trouble.unwrap();
        assert_eq!(defined.len(), 1);
        for part in ["b: is no definition", "c__d: ", "e: "] {
            assert!(trouble.contains(part), "{trouble}");
        }
        let (defined, broken) = written(".mcp.json", "{\"mcpServers\":\n\"canary\"}");
        assert!(defined.is_empty() && broken.as_ref().unwrap().contains("line 2"), "{broken:?}");
        assert!(!format!("{trouble}{broken:?}").contains("canary"));
        let (_, large) = written(".mcp.json", &" ".repeat(300 << 10));
        assert!(large.unwrap().contains("more than"));
    }

    #[test]
    fn the_original_engines_file_adds_what_the_usual_one_does_not_name() {
        let workspace = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(workspace.path().join(".kollab/mcp")).unwrap();
        let theirs = r#"{"servers":{"a":{"command":"other"},"b":{"type":"stdio","command":"npx -y 'b c'","env":{"K":"canary"}},
            "c":{"command":"x | y"}}}"#;
        std::fs::write(workspace.path().join(KOLLAB), theirs).unwrap();
        std::fs::write(workspace.path().join(".mcp.json"), r#"{"mcpServers":{"a":{"command":"x"}}}"#)
            .unwrap();
        let (defined, trouble) = read(workspace.path());
        let told: Vec<_> = defined
            .iter()
            .map(|one| (one.name.as_str(), one.server.command.as_deref(), one.server.args.len()))
            .collect();
        assert_eq!(told, [("a", Some("x"), 0), ("b", Some("npx"), 2)]);
        assert!(
            defined[1].fingerprint.is_some(),
            "it runs once a person has trusted it, as any of a project's"
        );
        assert!(trouble.unwrap().contains("c: its command"));
    }

    #[test]
    fn a_link_out_of_the_workspace_is_not_followed() {
        let (workspace, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let file = outside.path().join("mcp.json");
        std::fs::write(&file, r#"{"mcpServers":{"a":{"command":"x"}}}"#).unwrap();
        std::os::unix::fs::symlink(&file, workspace.path().join(".mcp.json")).unwrap();
        assert!(read(workspace.path()).0.is_empty());
    }
}
