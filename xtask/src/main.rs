//! House rules that a compiler does not know. `cargo xtask tidy` says which are broken, and where.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

/// Who may depend on whom, the crates of this workspace among each other. Tests may do as they like.
const RINGS: &[(&str, &[&str])] = &[
    ("trunkline-shell", &[]),
    ("trunkline-core", &["trunkline-shell"]),
    ("trunkline-log", &["trunkline-core"]),
    ("trunkline-wire", &[]),
    ("trunkline-run", &["trunkline-core", "trunkline-log", "trunkline-wire"]),
    ("trunkline-serve", &["trunkline-core", "trunkline-log", "trunkline-wire", "trunkline-run"]),
    ("trunkline-client", &["trunkline-core", "trunkline-wire"]),
    (
        "trunkline-cli",
        &[
            "trunkline-core",
            "trunkline-log",
            "trunkline-wire",
            "trunkline-run",
            "trunkline-serve",
            "trunkline-client",
        ],
    ),
    ("stdio-bus", &["trunkline-wire"]),
    ("trunkline-desktop", &[]),
];

/// What a crate must not know, by the name of the crate it would need.
const FORBIDDEN: &[(&str, &[&str])] = &[
    ("trunkline-shell", &["tokio", "serde", "async-trait", "futures-util"]),
    ("trunkline-core", &["tokio", "axum", "rusqlite", "reqwest", "async-trait", "futures-util"]),
    ("trunkline-wire", &["tokio", "axum", "rusqlite", "reqwest", "async-trait", "futures-util"]),
    ("trunkline-run", &["axum", "rusqlite", "reqwest"]),
    ("trunkline-serve", &["rusqlite", "reqwest"]),
    ("trunkline-client", &["axum", "rusqlite"]),
    ("stdio-bus", &["tokio", "axum", "rusqlite", "reqwest", "hyper"]),
];

/// Files longer than this want a reason, written in the file as `tidy: long because …`.
const MAX_LINES: usize = 600;

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => match tidy() {
            Ok(broken) if broken.is_empty() => ExitCode::SUCCESS,
            Ok(broken) => fail(&broken),
            Err(error) => fail(&[format!("{error:#}")]),
        },
        _ => fail(&["usage: cargo xtask tidy".to_owned()]),
    }
}

#[expect(clippy::print_stderr, reason = "this is a command")]
fn fail(lines: &[String]) -> ExitCode {
    lines.iter().for_each(|line| eprintln!("tidy: {line}"));
    ExitCode::FAILURE
}

fn tidy() -> Result<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("the workspace is above xtask")?;
    let files = tracked(root)?;
    let mut broken = rings(root)?;
    for file in &files {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        broken.extend(words(file, &text));
        broken.extend(length(file, &text));
    }
    broken.extend(forgotten_tests(root, &files)?);
    broken.extend(untold_targets(root)?);
    Ok(broken)
}

/// A target of the Makefile that `make help` or CONTRIBUTING.md does not tell.
fn untold_targets(root: &Path) -> Result<Vec<String>> {
    let makefile = fs::read_to_string(root.join("Makefile"))?.replace("\\\n", " ");
    let guide = fs::read_to_string(root.join("CONTRIBUTING.md"))?;
    let phony = makefile.lines().find_map(|line| line.strip_prefix(".PHONY:")).unwrap_or_default();
    let mut broken = Vec::new();
    for target in phony.split_whitespace() {
        let rule =
            makefile.lines().find(|line| line.strip_prefix(target).is_some_and(|rest| rest.starts_with(':')));
        if !rule.is_some_and(|rule| rule.contains(" ## ")) {
            broken.push(format!("Makefile: `{target}` says nothing of itself: add `## …` to its line"));
        }
        if !guide.contains(&format!("`make {target}`")) {
            broken.push(format!("CONTRIBUTING.md: its table of targets lacks `make {target}`"));
        }
    }
    Ok(broken)
}

/// Files git knows, and new ones it does not ignore.
fn tracked(root: &Path) -> Result<Vec<PathBuf>> {
    #[expect(clippy::disallowed_methods, reason = "a chore runs git and waits for it")]
    let child = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .context("git cannot be run")?;
    let listed = child.wait_with_output()?;
    Ok(String::from_utf8_lossy(&listed.stdout).lines().map(PathBuf::from).collect())
}

fn rings(root: &Path) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    let allowed: BTreeMap<_, _> = RINGS.iter().copied().collect();
    let forbidden: BTreeMap<_, _> = FORBIDDEN.iter().copied().collect();
    for entry in fs::read_dir(root.join("crates"))? {
        let manifest = entry?.path().join("Cargo.toml");
        let text = fs::read_to_string(&manifest).with_context(|| manifest.display().to_string())?;
        let table: toml::Table = text.parse().with_context(|| manifest.display().to_string())?;
        let name = table["package"]["name"].as_str().unwrap_or_default().to_owned();
        let Some(ring) = allowed.get(name.as_str()) else {
            broken.push(format!("{name} is in no ring: add it to RINGS in xtask"));
            continue;
        };
        let dependencies =
            table.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        for dependency in dependencies.keys() {
            if dependency.starts_with("trunkline") && !ring.contains(&dependency.as_str()) {
                broken.push(format!("{name} must not depend on {dependency}: the rings point inwards"));
            }
            if forbidden.get(name.as_str()).is_some_and(|list| list.contains(&dependency.as_str())) {
                broken.push(format!("{name} must not know {dependency}"));
            }
        }
    }
    Ok(broken)
}

fn is_code(file: &Path) -> bool {
    let kinds = ["rs", "ts", "svelte", "py", "mjs", "js", "sql", "sh"];
    file.extension().and_then(|kind| kind.to_str()).is_some_and(|kind| kinds.contains(&kind))
}

/// Work that was left behind, and tests that do not run.
fn words(file: &Path, text: &str) -> Vec<String> {
    let unfinished =
        [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("todo", "!("), concat!("unimplemented", "!(")];
    let script = file.extension().is_some_and(|kind| kind != "rs");
    let skipped: &[&str] =
        if script { &[concat!(".sk", "ip("), "xfail"] } else { &[concat!("#[ig", "nore")] };
    let mut broken = Vec::new();
    if !is_code(file) {
        return broken;
    }
    for (line, number) in text.lines().zip(1..) {
        let at = || format!("{}:{number}", file.display());
        if unfinished.iter().any(|word| line.contains(word)) {
            broken.push(format!("{}: unfinished work: {}", at(), line.trim()));
        }
        if skipped.iter().any(|word| line.contains(word)) {
            broken.push(format!("{}: a test that does not run: {}", at(), line.trim()));
        }
    }
    broken
}

fn length(file: &Path, text: &str) -> Option<String> {
    let lines = text.lines().count();
    let long = is_code(file) && lines > MAX_LINES && !text.contains("tidy: long because");
    long.then(|| {
        format!("{} has {lines} lines: is there a seam? Else say `tidy: long because …`", file.display())
    })
}

/// A file below `tests/<target>/` that no `mod` names would never run.
fn forgotten_tests(root: &Path, files: &[PathBuf]) -> Result<Vec<String>> {
    let mut broken = Vec::new();
    let is_target = |file: &&PathBuf| {
        let folder = file.parent().and_then(Path::parent).and_then(Path::file_name);
        file.ends_with("main.rs") && file.starts_with("crates") && folder.is_some_and(|name| name == "tests")
    };
    let roots = files.iter().filter(is_target);
    for main in roots {
        let text = fs::read_to_string(root.join(main))?;
        let dir = main.parent().context("a file has a folder")?;
        for file in files.iter().filter(|file| file.parent() == Some(dir) && *file != main) {
            let Some(stem) = file.file_stem().and_then(|stem| stem.to_str()) else { continue };
            let is_rust = file.extension().is_some_and(|kind| kind == "rs");
            if is_rust && !text.contains(&format!("mod {stem};")) {
                broken.push(format!("{} is named by no `mod` in {}", file.display(), main.display()));
            }
        }
    }
    Ok(broken)
}
