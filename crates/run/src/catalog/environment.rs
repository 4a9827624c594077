//! Which of the daemon's variables an agent gets.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use super::Entry;

/// What every program may know of where it runs: the user, the place, the language, and how to reach the network.
/// Nothing here is a secret of a provider, and no agent that lacks one of these works.
const USUAL: &[&str] = &[
    "ALL_PROXY",
    "HOME",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "LANG",
    "LC_*",
    "LOGNAME",
    "NODE_EXTRA_CA_CERTS",
    "NO_PROXY",
    "PATH",
    "REQUESTS_CA_BUNDLE",
    "SHELL",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_*",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// Ours: where the daemon is, and how to command it.
const OURS: &str = "TRUNKLINE_*";

/// The environment of an agent: of `base`, which is the daemon's, the usual variables and those that the entry
/// passes on, then those that it sets. Variables named `TRUNKLINE_…` never go along.
#[must_use]
pub fn environment(base: &[(OsString, OsString)], entry: &Entry) -> Vec<(OsString, OsString)> {
    let set = |name: &OsStr| entry.env.keys().any(|set| OsStr::new(set) == name);
    let passed = |name: &OsStr| {
        let patterns = USUAL.iter().copied().chain(entry.env_pass.iter().map(String::as_str));
        patterns.into_iter().any(|pattern| fits(pattern, name)) && !set(name)
    };
    let inherited = base.iter().filter(|(name, _)| passed(name)).cloned();
    let added = entry.env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    inherited.chain(added).filter(|(name, _)| !fits(OURS, name)).collect()
}

fn fits(pattern: &str, name: &OsStr) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.as_bytes().starts_with(beginning.as_bytes()),
        None => name == OsStr::new(pattern),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_gets_the_usual_what_it_needs_and_nothing_of_ours() {
        let base = [
            "PATH",
            "LC_ALL",
            "XDG_CACHE_HOME",
            "https_proxy",
            "PATHS",
            "AWS_SECRET_ACCESS_KEY",
            "GEMINI_API_KEY",
            "GOOGLE_X",
            "OPENAI_API_KEY",
            "TRUNKLINE_TOKEN",
        ];
        let base = base.map(|name| (OsString::from(name), OsString::from("base")));
        let mut entry = Entry::plain("x", vec!["x".to_owned()]);
        entry.env_pass = ["GEMINI_*", "GOOGLE_X", "TRUNKLINE_TOKEN"].map(str::to_owned).to_vec();
        let set = [("HOME", "/h"), ("PATH", "/set"), ("TRUNKLINE_HOME", "/t")];
        entry.env = set.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
        let got = environment(&base, &entry);
        let got: Vec<_> =
            got.iter().map(|(name, value)| (name.to_str().unwrap(), value.to_str().unwrap())).collect();
        let expected = [
            ("LC_ALL", "base"),
            ("XDG_CACHE_HOME", "base"),
            ("https_proxy", "base"),
            ("GEMINI_API_KEY", "base"),
            ("GOOGLE_X", "base"),
            ("HOME", "/h"),
            ("PATH", "/set"),
        ];
        assert_eq!(got, expected);
    }
}
