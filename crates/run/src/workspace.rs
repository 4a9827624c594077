//! Where agents work.

use std::path::Path;

/// The root of the repository that a directory belongs to, else the directory itself.
#[must_use]
pub fn project_root(workspace: &str) -> String {
    let found = Path::new(workspace).ancestors().find(|dir| dir.join(".git").exists());
    found.and_then(Path::to_str).unwrap_or(workspace).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_the_repository_around_a_directory() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("repo/src/deep");
        std::fs::create_dir_all(&inner).unwrap();
        let inner = inner.to_str().unwrap();
        assert_eq!(project_root(inner), inner);
        std::fs::create_dir(home.path().join("repo/.git")).unwrap();
        assert_eq!(project_root(inner), home.path().join("repo").to_str().unwrap());
    }
}
