//! Where agents work.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository that a directory belongs to, else the directory itself.
#[must_use]
pub fn project_root(workspace: &str) -> String {
    let found = Path::new(workspace).ancestors().find(|dir| dir.join(".git").exists());
    found.and_then(Path::to_str).unwrap_or(workspace).to_owned()
}

/// Where the repository around a directory keeps what a commit changes, if that lies outside of the directory: above it, or
/// with the repository that it is a worktree of.
///
/// An agent that may write to the directory could have it point anywhere. So a worktree counts only if the other side
/// points back, in a place that the agent could not have written to before.
#[must_use]
pub fn repository(workspace: &Path) -> Option<PathBuf> {
    let root = workspace.ancestors().find(|dir| dir.join(".git").symlink_metadata().is_ok())?;
    let found = root.join(".git");
    let kind = found.symlink_metadata().ok()?.file_type();
    if kind.is_dir() {
        return (root != workspace && is_store(&found)).then_some(found);
    }
    if !kind.is_file() {
        return None;
    }
    let text = fs::read_to_string(&found).ok()?;
    let worktree = root.join(text.strip_prefix("gitdir:")?.trim()).canonicalize().ok()?;
    let back = fs::read_to_string(worktree.join("gitdir")).ok()?;
    let back = worktree.join(back.trim()).canonicalize().ok()?;
    let worktrees = worktree.parent().filter(|parent| parent.ends_with("worktrees"))?;
    let store = worktrees.parent().filter(|store| is_store(store))?;
    (back == found.canonicalize().ok()?).then(|| store.to_owned())
}

fn is_store(path: &Path) -> bool {
    path.join("HEAD").is_file() && path.join("objects").is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_project_is_the_repository_around_a_directory() {
        let home = tempfile::tempdir().unwrap();
        let inner = home.path().join("repo/src/deep");
        fs::create_dir_all(&inner).unwrap();
        let inner = inner.to_str().unwrap();
        assert_eq!(project_root(inner), inner);
        fs::create_dir(home.path().join("repo/.git")).unwrap();
        assert_eq!(project_root(inner), home.path().join("repo").to_str().unwrap());
    }

    #[test]
    fn a_worktree_counts_when_its_repository_points_back() {
        let home = tempfile::tempdir().unwrap();
        let home = home.path().canonicalize().unwrap();
        let (store, work, secret) = (home.join("repo/.git"), home.join("work"), home.join("secret"));
        let entry = store.join("worktrees/work");
        for directory in [&entry, &store.join("objects"), &work, &secret.join("worktrees/x")] {
            fs::create_dir_all(directory).unwrap();
        }
        fs::write(store.join("HEAD"), "ref: refs/heads/main").unwrap();
        assert_eq!(repository(&work), None);
        fs::write(work.join(".git"), format!("gitdir: {}\n", entry.display())).unwrap();
        assert_eq!(repository(&work), None, "nothing points back");
        fs::write(entry.join("gitdir"), format!("{}\n", work.join(".git").display())).unwrap();
        assert_eq!(repository(&work), Some(store.clone()));
        fs::write(work.join(".git"), format!("gitdir: {}\n", secret.join("worktrees/x").display())).unwrap();
        assert_eq!(repository(&work), None, "an agent has written where it would like to write");
        let inner = home.join("repo/crates");
        fs::create_dir(&inner).unwrap();
        assert_eq!(repository(&inner), Some(store));
        assert_eq!(repository(&home.join("repo")), None, "it lies within");
    }
}
