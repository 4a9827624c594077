//! Looking around in a workspace, and moving and removing what is in it.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, FileType, OFlags, RenameFlags, renameat, renameat_with, statat, unlinkat};
use rustix::io::Errno;

use super::{At, FileError, Files, is_regular};

/// How deep a walk goes.
const MAX_DEPTH: usize = 64;
/// How many entries of one directory are read.
const MAX_ENTRIES: usize = 20_000;

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its path below the workspace.
    pub(crate) path: PathBuf,
    pub(crate) kind: EntryKind,
}

/// What an entry is. A link is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EntryKind {
    File,
    Directory,
    Link,
    Other,
}

impl Files {
    /// The path below the workspace that is meant, without `.` and `..`.
    ///
    /// # Errors
    /// When it leads out by its words alone.
    pub(crate) fn below(&self, path: &Path) -> Result<PathBuf, FileError> {
        let at = At { files: self, path };
        let mut out = PathBuf::new();
        for component in at.below()?.components() {
            match component {
                Component::Normal(name) => out.push(name),
                Component::CurDir => {}
                Component::ParentDir if out.pop() => {}
                Component::ParentDir | Component::RootDir | Component::Prefix(_) => {
                    return Err(at.failed(Errno::XDEV));
                }
            }
        }
        Ok(out)
    }

    /// The directory that a path leads to, as the system names it. Blocks.
    pub(crate) fn real_directory(&self, path: &Path) -> Result<PathBuf, FileError> {
        let at = At { files: self, path };
        let below = self.below(path)?;
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let opened = self.root.resolve(&below, flags).map_err(|error| at.failed(error))?;
        let link = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&opened));
        std::fs::read_link(link).map_err(|source| FileError::Io { path: at.name(), source })
    }

    /// The bytes of a file, at most `limit` of them. Blocks.
    pub(crate) fn bytes(&self, path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
        let at = At { files: self, path };
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.root.resolve(at.below()?, flags).map_err(|error| at.failed(error))?;
        if !is_regular(&at.stat(&file)?) {
            return Err(FileError::NotAFile(at.name()));
        }
        let mut bytes = Vec::new();
        let read = File::from(file).take(limit).read_to_end(&mut bytes);
        read.map_err(|source| FileError::Io { path: at.name(), source })?;
        Ok(bytes)
    }

    /// The entries of a directory, by name. Blocks.
    pub(crate) fn list(&self, path: &Path) -> Result<Vec<Entry>, FileError> {
        let at = At { files: self, path };
        let below = self.below(path)?;
        let directory = self.open_directory(&below).map_err(|error| at.failed(error))?;
        entries(directory, &below).map_err(|error| at.failed(error))
    }

    /// Everything below a directory, a directory before what is in it, but for the directories that `skip` names; until
    /// `each` says that it is enough. Links are told and not followed. Blocks.
    pub(crate) fn walk(
        &self,
        path: &Path,
        skip: &[&str],
        mut each: impl FnMut(&Entry) -> bool,
    ) -> Result<(), FileError> {
        let at = At { files: self, path };
        let start = self.below(path)?;
        let first = self.open_directory(&start).map_err(|error| at.failed(error))?;
        let mut todo = entries(first, &start).map_err(|error| at.failed(error))?;
        todo.reverse();
        let depth = start.components().count() + MAX_DEPTH;
        while let Some(entry) = todo.pop() {
            if !each(&entry) {
                break;
            }
            let skipped = entry.path.file_name().is_some_and(|name| skip.iter().any(|skip| name == *skip));
            if entry.kind != EntryKind::Directory || skipped || entry.path.components().count() >= depth {
                continue;
            }
            // What cannot be looked into, or has just gone, is passed over.
            let inner =
                self.open_directory(&entry.path).and_then(|directory| entries(directory, &entry.path));
            todo.extend(inner.unwrap_or_default().into_iter().rev());
        }
        Ok(())
    }

    /// Removes a file, a link, or an empty directory. Blocks.
    pub(crate) fn remove(&self, path: &Path) -> Result<(), FileError> {
        let at = At { files: self, path };
        let (directory, name) = self.parent(&at)?;
        let failed = |error| at.failed(error);
        match unlinkat(&directory, &name, AtFlags::empty()) {
            Err(Errno::ISDIR | Errno::PERM) => {
                unlinkat(&directory, &name, AtFlags::REMOVEDIR).map_err(failed)
            }
            removed => removed.map_err(failed),
        }
    }

    /// Moves something to a place where nothing is. Missing directories are made. Blocks.
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> Result<(), FileError> {
        let (at, target) = (At { files: self, path: from }, At { files: self, path: to });
        let (old, old_name) = self.parent(&at)?;
        statat(&old, &old_name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| at.failed(error))?;
        let below = self.below(to)?;
        let name = below.file_name().ok_or_else(|| FileError::NotAFile(target.name()))?;
        let new = self.directory(below.parent().unwrap_or(&below)).map_err(|error| target.failed(error))?;
        match renameat_with(&old, &old_name, &new, name, RenameFlags::NOREPLACE) {
            // Some file systems do not know the flag.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if statat(&new, name, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
                    return Err(target.failed(Errno::EXIST));
                }
                renameat(&old, &old_name, &new, name).map_err(|error| at.failed(error))
            }
            moved => moved.map_err(|error| target.failed(error)),
        }
    }

    /// The directory that something lies in, and its name there.
    fn parent(&self, at: &At<'_>) -> Result<(OwnedFd, std::ffi::OsString), FileError> {
        let below = self.below(at.path)?;
        let name = below.file_name().ok_or_else(|| FileError::NotAFile(at.name()))?.to_owned();
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let directory = self.root.resolve(below.parent().unwrap_or_else(|| Path::new("")), flags);
        Ok((directory.map_err(|error| at.failed(error))?, name))
    }

    fn open_directory(&self, below: &Path) -> rustix::io::Result<OwnedFd> {
        self.root.resolve(below, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NONBLOCK)
    }
}

fn entries(directory: OwnedFd, path: &Path) -> rustix::io::Result<Vec<Entry>> {
    let mut all = Vec::new();
    for entry in Dir::new(directory)? {
        let entry = entry?;
        let name = OsStr::from_bytes(entry.file_name().to_bytes());
        if name == "." || name == ".." {
            continue;
        }
        let kind = match entry.file_type() {
            FileType::RegularFile => EntryKind::File,
            FileType::Directory => EntryKind::Directory,
            FileType::Symlink => EntryKind::Link,
            _ => EntryKind::Other,
        };
        all.push(Entry { path: path.join(name), kind });
        if all.len() >= MAX_ENTRIES {
            break;
        }
    }
    all.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    fn world() -> (tempfile::TempDir, Files) {
        let dir = tempfile::tempdir().unwrap();
        for made in ["work/src/deep", "work/.git/objects", "outside"] {
            fs::create_dir_all(dir.path().join(made)).unwrap();
        }
        for made in ["work/a.txt", "work/src/deep/b.txt", "work/.git/HEAD", "outside/secret"] {
            fs::write(dir.path().join(made), made).unwrap();
        }
        symlink(dir.path().join("outside"), dir.path().join("work/link")).unwrap();
        symlink("../outside", dir.path().join("work/up")).unwrap();
        let files = Files::open(&dir.path().join("work")).unwrap();
        (dir, files)
    }

    #[test]
    fn a_walk_tells_links_and_follows_none() {
        let (_dir, files) = world();
        let mut seen = Vec::new();
        files
            .walk(Path::new(""), &[".git"], |entry| {
                seen.push(entry.path.to_str().unwrap().to_owned());
                true
            })
            .unwrap();
        assert_eq!(seen, [".git", "a.txt", "link", "src", "src/deep", "src/deep/b.txt", "up"]);
        let mut count = 0;
        files
            .walk(Path::new("."), &[], |_| {
                count += 1;
                count < 2
            })
            .unwrap();
        assert_eq!(count, 2, "it ends when it is told that it is enough");
    }

    #[test]
    fn nothing_outside_is_seen_moved_or_removed() {
        let (dir, files) = world();
        for path in ["../outside", "link", "up", "/etc", "src/../../outside"] {
            assert!(files.list(Path::new(path)).is_err(), "{path}");
            assert!(files.walk(Path::new(path), &[], |_| true).is_err(), "{path}");
            assert!(files.real_directory(Path::new(path)).is_err(), "{path}");
        }
        for path in ["../outside/secret", "link/secret", "up/secret", "/etc/passwd"] {
            assert!(files.bytes(Path::new(path), 10).is_err(), "{path}");
            assert!(files.remove(Path::new(path)).is_err(), "{path}");
            assert!(
                files
                    .rename(Path::new("a.txt"), Path::new(path).parent().unwrap().join("new").as_path())
                    .is_err(),
                "{path}"
            );
            assert!(files.rename(Path::new(path), Path::new("stolen")).is_err(), "{path}");
        }
        assert_eq!(fs::read_to_string(dir.path().join("outside/secret")).unwrap(), "outside/secret");
        assert_eq!(fs::read_dir(dir.path().join("outside")).unwrap().count(), 1);
    }

    #[test]
    fn what_is_moved_takes_the_place_of_nothing() {
        let (dir, files) = world();
        let work = dir.path().join("work");
        files.rename(Path::new("a.txt"), Path::new("new/place/a.txt")).unwrap();
        assert_eq!(fs::read_to_string(work.join("new/place/a.txt")).unwrap(), "work/a.txt");
        assert!(files.rename(Path::new("new/place/a.txt"), Path::new("src/deep/b.txt")).is_err());
        assert_eq!(fs::read_to_string(work.join("src/deep/b.txt")).unwrap(), "work/src/deep/b.txt");
        assert!(files.remove(Path::new("src")).is_err(), "it is not empty");
        files.remove(Path::new("up")).unwrap();
        assert!(dir.path().join("outside/secret").exists(), "the link is removed, not what it leads to");
    }

    #[test]
    fn a_directory_that_becomes_a_link_meanwhile_leads_nowhere() {
        let (dir, files) = world();
        let work = dir.path().join("work");
        let (stop, swap) =
            (std::sync::atomic::AtomicBool::new(false), |deep: &Path, aside: &Path, outside: &Path| {
                drop(fs::rename(deep, aside));
                drop(symlink(outside, deep));
                drop(fs::remove_file(deep));
                drop(fs::rename(aside, deep));
            });
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                    swap(&work.join("src/deep"), &work.join("aside"), &dir.path().join("outside"));
                }
            });
            for _ in 0..2_000 {
                let read = files.bytes(Path::new("src/deep/secret"), 100);
                assert!(read.is_err(), "{read:?}");
                // What is swapped just now may not be there.
                drop(files.walk(Path::new(""), &[], |entry| {
                    assert!(!entry.path.ends_with("secret"), "{entry:?}");
                    true
                }));
            }
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        });
    }
}
