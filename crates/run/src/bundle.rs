//! Agents that are folders: a prompt, a profile, tools and MCP servers, for the driver `model`.
//!
//! `agents/NAME/` in the daemon's home is the user's; `.trunkline/agents/NAME/` in a workspace comes with a checkout. What a
//! folder says starts nothing: its prompt is words, as those of an `AGENTS.md` are, its tools are fewer and never more, and the
//! MCP servers that it names are those that there are, with the trust that they need.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use trunkline_core::profile::check_profile_name;

use crate::acp::files::Files;

/// Where the folders are, in the daemon's home; in a workspace the first that has one of the name.
pub const HOME: &str = "agents";
const PROJECT: [&str; 2] = [".trunkline/agents", ".kollab/agents"];
const PROMPT: &str = "system_prompt.md";
const ABOUT: &str = "agent.json";
/// How much of a prompt, and of what is said beside it, is read, in bytes.
const MAX_PROMPT: u64 = 64 << 10;
const MAX_ABOUT: u64 = 64 << 10;
/// How many folders of the user's are listed.
const MAX_LISTED: usize = 200;

/// An agent that is a folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Bundle {
    /// Its name: that of the folder.
    #[serde(skip)]
    pub name: String,
    /// Its name for people.
    pub title: Option<String>,
    /// What it is for.
    pub description: String,
    /// The profile whose model it asks, unless another one is chosen.
    pub profile: Option<String>,
    /// The only tools that it is offered: by name, and those of MCP servers as `server/tool` or `server/*`. All, if absent.
    pub tools: Option<Vec<String>>,
    /// The only MCP servers that its sessions connect to by themselves. Those that are enabled, if absent.
    pub mcp_servers: Option<Vec<String>>,
    /// The only skills that it is told of. All, if absent.
    pub skills: Option<Vec<String>>,
    /// What stands over its conversations, in place of what usually does.
    #[serde(skip)]
    pub prompt: Option<String>,
}

impl Bundle {
    /// Whether it is offered a tool that is built in.
    pub(crate) fn offers(&self, tool: &str) -> bool {
        self.tools
            .as_ref()
            .is_none_or(|tools| tools.iter().any(|one| one == tool || original(one).contains(&tool)))
    }

    /// Whether it is offered a tool of an MCP server.
    pub(crate) fn offers_of(&self, server: &str, tool: &str) -> bool {
        let fits = |one: &String| {
            one == tool
                || one.split_once('/').is_some_and(|(at, what)| at == server && (what == "*" || what == tool))
        };
        self.tools.as_ref().is_none_or(|tools| tools.iter().any(fits))
    }
}

/// The tools that stand here for one of the original engine, whose folders name theirs.
fn original(tool: &str) -> &'static [&'static str] {
    match tool {
        "terminal" => &["shell", "shell_output", "shell_stop"],
        "terminal_output" | "terminal_status" => &["shell_output"],
        "terminal_kill" => &["shell_stop"],
        "file_read" | "read_file" => &["read"],
        "list_directory" => &["list"],
        "file_grep" | "search_file_content" => &["grep"],
        "file_create" | "file_create_overwrite" | "file_copy" | "file_copy_overwrite" | "file_mkdir" => {
            &["write"]
        }
        "file_edit" | "file_append" | "file_insert_after" | "file_insert_before" => &["edit"],
        "file_move" => &["move"],
        "file_delete" | "file_rmdir" => &["delete"],
        _ => &[],
    }
}

/// The folder of this name: the user's, else that of the workspace. Blocks.
///
/// # Errors
/// What is wrong with it.
pub fn find(home: &Path, workspace: Option<&Path>, name: &str) -> Result<Option<Bundle>, String> {
    if check_profile_name(name).is_err() || name.starts_with('.') {
        return Ok(None);
    }
    if let Some(bundle) = read(&home.join(HOME), Path::new(""), name)? {
        return Ok(Some(bundle));
    }
    let Some(workspace) = workspace else { return Ok(None) };
    PROJECT.iter().find_map(|below| read(workspace, Path::new(below), name).transpose()).transpose()
}

/// The user's folders, by name, and what is wrong with those that cannot be read. Blocks.
#[must_use]
pub fn list(home: &Path) -> Vec<(String, Result<Bundle, String>)> {
    let Ok(entries) = std::fs::read_dir(home.join(HOME)) else { return Vec::new() };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.take(MAX_LISTED).collect();
    names.sort();
    let one = |name: String| match find(home, None, &name) {
        Ok(bundle) => Some((name, Ok(bundle?))),
        Err(why) => Some((name, Err(why))),
    };
    names.into_iter().filter_map(one).collect()
}

/// Reads a folder. No link out of `root` is followed.
fn read(root: &Path, below: &Path, name: &str) -> Result<Option<Bundle>, String> {
    // What is no place is not looked for where the daemon happens to stand.
    let opened = root.is_absolute().then(|| Files::open(root));
    let Some(Ok(files)) = opened else { return Ok(None) };
    let place = below.join(name);
    let file = |file: &str, max: u64| files.bytes(&place.join(file), max).ok();
    let (prompt, about) = (file(PROMPT, MAX_PROMPT), file(ABOUT, MAX_ABOUT));
    if prompt.is_none() && about.is_none() {
        return Ok(None);
    }
    let about = about.map(|about| serde_json::from_slice(&about)).transpose();
    let wrong = |error| format!("{}: {error}", PathBuf::from(name).join(ABOUT).display());
    let about: Bundle = about.map_err(wrong)?.unwrap_or_default();
    let prompt = prompt.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned());
    let prompt = prompt.filter(|prompt| !prompt.is_empty());
    Ok(Some(Bundle { name: name.to_owned(), prompt, ..about }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    fn a_folder_is_an_agent_and_the_users_counts_before_a_projects() {
        let (home, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (home, work) = (home.path(), work.path());
        written(home, "agents/a/system_prompt.md", "You are mine.\n");
        written(home, "agents/a/agent.json", r#"{"profile":"p","tools":["read","git/*"],"other":1}"#);
        written(work, ".trunkline/agents/a/system_prompt.md", "You are theirs.");
        written(work, ".trunkline/agents/b/agent.json", "{}");
        written(home, "agents/broken/agent.json", "{");
        written(work, ".kollab/agents/c/agent.json", r#"{"tools":["terminal","file_edit","hub_msg"]}"#);
        written(work, ".kollab/agents/b/system_prompt.md", "Not this one.");
        let a = find(home, Some(work), "a").unwrap().unwrap();
        assert_eq!((a.prompt.as_deref(), a.profile.as_deref()), (Some("You are mine."), Some("p")));
        assert!(a.offers("read") && !a.offers("shell"));
        assert!(a.offers_of("git", "log") && !a.offers_of("other", "log"));
        let b = find(home, Some(work), "b").unwrap().unwrap();
        assert!(b.offers("shell") && b.prompt.is_none());
        assert_eq!(find(home, None, "b"), Ok(None));
        let c = find(home, Some(work), "c").unwrap().unwrap();
        let offered = ["shell", "shell_stop", "edit", "write", "read"].map(|tool| c.offers(tool));
        assert_eq!(offered, [true, true, true, false, false], "by the original's names");
        assert!(find(home, Some(work), "broken").unwrap_err().contains("broken/agent.json"));
        for bad in ["..", ".", "a/b", "", "../agents/a"] {
            assert_eq!(find(home, Some(work), bad), Ok(None), "{bad}");
        }
        let listed: Vec<_> = list(home).into_iter().map(|(name, one)| (name, one.is_ok())).collect();
        assert_eq!(listed, [("a".to_owned(), true), ("broken".to_owned(), false)]);
    }

    #[test]
    fn a_link_out_of_a_workspace_is_no_agent() {
        let (home, work) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        written(home.path(), "elsewhere/system_prompt.md", "secret");
        std::fs::create_dir_all(work.path().join(PROJECT[0])).unwrap();
        let link = work.path().join(PROJECT[0]).join("x");
        std::os::unix::fs::symlink(home.path().join("elsewhere"), link).unwrap();
        assert_eq!(find(home.path(), Some(work.path()), "x"), Ok(None));
    }
}
