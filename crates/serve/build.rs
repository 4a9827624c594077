//! Embeds the built page, or a page that says how to build it.

use std::env;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const STUB: &str = "<!doctype html><meta charset=utf-8><title>Trunkline</title>\
    <p>The daemon runs, but this binary was built without its page. \
    Install Node.js and run <code>make run</code>, or use <code>trunkline attach</code>.";

fn main() {
    let (manifest, out) = (path("CARGO_MANIFEST_DIR"), path("OUT_DIR"));
    let dist = manifest.join("../../web/dist");
    println!("cargo:rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    collect(&dist, &dist, &mut files);
    if !files.iter().any(|(name, _)| name == "index.html") {
        println!("cargo:warning=web/dist is not built: the binary gets a stub page. `make run` builds it.");
        let stub = out.join("stub.html");
        fs::write(&stub, STUB).expect("OUT_DIR can be written");
        files = vec![("index.html".to_owned(), stub)];
    }
    files.sort();
    let mut code = String::from("static ASSETS: &[(&str, &[u8])] = &[\n");
    for (name, path) in files {
        writeln!(code, "    ({name:?}, include_bytes!({:?})),", path.display().to_string())
            .expect("a string grows");
    }
    code.push_str("];\n");
    fs::write(out.join("assets.rs"), code).expect("OUT_DIR can be written");
}

#[expect(clippy::disallowed_methods, reason = "this is how cargo talks to build scripts")]
fn path(name: &str) -> PathBuf {
    PathBuf::from(env::var_os(name).expect("cargo sets it"))
}

fn collect(root: &Path, dir: &Path, files: &mut Vec<(String, PathBuf)>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        if path.is_dir() {
            collect(root, &path, files);
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            files.push((name.replace('\\', "/"), path.canonicalize().unwrap_or_else(|_| path.clone())));
        }
    }
}
