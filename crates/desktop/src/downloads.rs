//! What the page saves, such as a session's export: to the person's directory of downloads, under a name that is free.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// How many files of one name there may be.
const MAX_SAME: u32 = 1_000;

/// Where a file of this suggested name goes; `None` if there is no such directory, or no free name.
pub fn place(suggested: &Path) -> Option<PathBuf> {
    free(&directory()?, suggested.file_name().unwrap_or(OsStr::new("trunkline")))
}

fn directory() -> Option<PathBuf> {
    let told = Command::new("xdg-user-dir").arg("DOWNLOAD").output().ok();
    let told = told.and_then(|output| String::from_utf8(output.stdout).ok());
    let told = told.map(|text| PathBuf::from(text.trim_end())).filter(|dir| dir.is_dir());
    let home = std::env::home_dir();
    told.or_else(|| home.as_ref().map(|home| home.join("Downloads")).filter(|dir| dir.is_dir())).or(home)
}

fn free(dir: &Path, name: &OsStr) -> Option<PathBuf> {
    let name = Path::new(name);
    let stem = name.file_stem().unwrap_or_default().to_string_lossy();
    let extension = name.extension().map(|end| format!(".{}", end.to_string_lossy())).unwrap_or_default();
    let numbered = (1..MAX_SAME).map(|n| dir.join(format!("{stem} ({n}){extension}")));
    std::iter::once(dir.join(name)).chain(numbered).find(|path| !path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_written_over() {
        let dir = std::env::temp_dir().join(format!("trunkline-downloads-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let name = OsStr::new("a session.jsonl");
        for expected in ["a session.jsonl", "a session (1).jsonl", "a session (2).jsonl"] {
            let path = free(&dir, name).unwrap();
            assert_eq!(path, dir.join(expected));
            std::fs::write(path, "").unwrap();
        }
        assert_eq!(free(&dir, OsStr::new("README")).unwrap(), dir.join("README"));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
