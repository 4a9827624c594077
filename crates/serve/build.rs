//! Embeds the built page, or a page that says how to build it, and the document of the API. What shrinks is kept packed.

use std::env;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

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
    let assets: Vec<_> = files
        .iter()
        .enumerate()
        .map(|(n, (name, path))| built(name, path, &out.join(format!("{n}.gz"))))
        .collect();
    let assets = format!("static ASSETS: &[Built] = &[\n{}];\n", assets.concat());
    fs::write(out.join("assets.rs"), assets).expect("OUT_DIR can be written");
    let document = manifest.join("../../docs/openapi.json");
    println!("cargo:rerun-if-changed={}", document.display());
    let document = built("openapi.json", &document, &out.join("openapi.gz"));
    let document = format!("static DOCUMENT: &[Built] = &[\n{document}];\n");
    fs::write(out.join("document.rs"), document).expect("OUT_DIR can be written");
}

/// The code of a file that is built in: packed if that makes it smaller, which it does not of a picture.
fn built(name: &str, path: &Path, packed: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{} cannot be read: {error}", path.display()));
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes).expect("memory takes what is written");
    let gzip = encoder.finish().expect("memory takes what is written");
    let is_packed = gzip.len() < bytes.len();
    fs::write(packed, if is_packed { gzip } else { bytes }).expect("OUT_DIR can be written");
    let packed = packed.display().to_string();
    format!("    Built {{ name: {name:?}, is_packed: {is_packed}, bytes: include_bytes!({packed:?}) }},\n")
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
