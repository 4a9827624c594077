//! Files that the daemon reads and writes for an agent, none of them outside of its workspace.

mod beneath;
mod manage;

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Gid, Mode, OFlags, RawMode, Stat};
use rustix::io::Errno;
use sha2::{Digest, Sha256};
use trunkline_core::agent::{FileRead, FileWritten};
use trunkline_wire::acp::{ReadTextFileRequest, WriteTextFileRequest};
use trunkline_wire::jsonrpc::{ErrorObject, code};
use uuid::Uuid;

use beneath::Root;
pub(crate) use manage::{Entry, EntryKind};

/// The most text that one read gives, in bytes.
const MAX_TEXT: u64 = 16 << 20;
/// How far into a file a read looks for the line it is to begin with, in bytes.
const MAX_SKIPPED: u64 = 256 << 20;

/// The files of a workspace. The directory is held: it stays the same one if another takes its name.
#[derive(Debug)]
pub(crate) struct Files {
    root: Root,
    workspace: PathBuf,
}

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// The path leads out of the workspace, or through a link that is absolute and so might.
    #[error("{path} is outside of the workspace {workspace}, or leads there through a link")]
    Outside { path: String, workspace: String },
    /// There is no such file.
    #[error("{0}: there is no such file")]
    Missing(String),
    /// A directory, a device, a pipe, or a path that ends in `..`.
    #[error("{0} is not a regular file")]
    NotAFile(String),
    /// It holds no text.
    #[error("{0} is not UTF-8 text")]
    NotText(String),
    /// More than [`MAX_TEXT`].
    #[error("{0}: that is more than 16 MiB; read it in parts with `line` and `limit`")]
    TooLong(String),
    /// The line is beyond [`MAX_SKIPPED`].
    #[error("{0}: that line is not within the first 256 MiB")]
    TooFar(String),
    /// What the system says.
    #[error("{path}: {source}")]
    Io { path: String, source: io::Error },
}

impl From<FileError> for ErrorObject {
    fn from(error: FileError) -> Self {
        let code = match &error {
            FileError::Missing(_) => code::RESOURCE_NOT_FOUND,
            FileError::Io { .. } => code::INTERNAL_ERROR,
            FileError::Outside { .. }
            | FileError::NotAFile(_)
            | FileError::NotText(_)
            | FileError::TooLong(_)
            | FileError::TooFar(_) => code::INVALID_PARAMS,
        };
        Self::new(code, error.to_string())
    }
}

impl Files {
    pub(crate) fn open(workspace: &Path) -> io::Result<Self> {
        Ok(Self { root: Root::open(workspace)?, workspace: workspace.to_owned() })
    }

    /// Reads a text, or `limit` lines of it from `line` on, counted from 1, with their line ends. Blocks.
    pub(crate) fn read(&self, asked: &ReadTextFileRequest) -> Result<(String, FileRead), FileError> {
        let at = At { files: self, path: &asked.path };
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = self.root.resolve(at.below()?, flags).map_err(|error| at.failed(error))?;
        if !is_regular(&at.stat(&file)?) {
            return Err(FileError::NotAFile(at.name()));
        }
        let text = text(File::from(file), asked, &at)?;
        let text = String::from_utf8(text).map_err(|_| FileError::NotText(at.name()))?;
        let sha256 = sha256(text.as_bytes());
        Ok((text, FileRead { path: at.name(), sha256 }))
    }

    /// Writes a text. The file is replaced in one step, so that nobody sees half of it, and keeps its permissions and
    /// its group. It is written in place where replacing it would change more than its text: if it is a link, has
    /// several names or another owner, or its directory takes no new files. Missing directories are made. Blocks.
    ///
    /// It is not flushed to the disk: a power failure soon after may cost it, as with most editors.
    pub(crate) fn write(&self, asked: &WriteTextFileRequest) -> Result<FileWritten, FileError> {
        let at = At { files: self, path: &asked.path };
        let below = at.below()?;
        let Some(Component::Normal(name)) = below.components().next_back() else {
            return Err(FileError::NotAFile(at.name()));
        };
        let directory = self.directory(below.parent().unwrap_or(below)).map_err(|error| at.failed(error))?;
        let text = asked.content.as_bytes();
        let created = at.put(&directory, name, below, text)?;
        let bytes = text.len() as u64;
        Ok(FileWritten { path: at.name(), sha256: sha256(text), bytes, created })
    }

    /// Opens a directory below the root. What is missing of it is made.
    fn directory(&self, path: &Path) -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        match self.root.resolve(path, flags) {
            Err(Errno::NOENT) => {}
            opened => return opened,
        }
        let mut done = PathBuf::new();
        let mut directory = self.root.resolve(&done, flags)?;
        for component in path.components() {
            done.push(component);
            directory = match (self.root.resolve(&done, flags), component) {
                (Err(Errno::NOENT), Component::Normal(name)) => {
                    match rustix::fs::mkdirat(&directory, name, Mode::from_raw_mode(0o777)) {
                        Ok(()) | Err(Errno::EXIST) => {}
                        Err(error) => return Err(error),
                    }
                    self.root.resolve(&done, flags)?
                }
                (opened, _) => opened?,
            };
        }
        Ok(directory)
    }
}

/// A path that the agent gave, for what is done with it and for errors.
struct At<'a> {
    files: &'a Files,
    path: &'a Path,
}

impl<'a> At<'a> {
    fn name(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }

    fn below(&self) -> Result<&'a Path, FileError> {
        self.files.root.below(self.path).ok_or_else(|| self.failed(Errno::XDEV))
    }

    fn stat(&self, file: &OwnedFd) -> Result<Stat, FileError> {
        rustix::fs::fstat(file).map_err(|error| self.failed(error))
    }

    fn failed(&self, error: Errno) -> FileError {
        let path = self.name();
        match error {
            Errno::XDEV => {
                FileError::Outside { path, workspace: self.files.workspace.to_string_lossy().into_owned() }
            }
            Errno::NOENT => FileError::Missing(path),
            // A pipe nobody reads, a socket, a device without a driver.
            Errno::ISDIR | Errno::NXIO | Errno::NODEV => FileError::NotAFile(path),
            error => FileError::Io { path, source: error.into() },
        }
    }

    /// Writes the file, and says whether it is new.
    fn put(&self, directory: &OwnedFd, name: &OsStr, below: &Path, text: &[u8]) -> Result<bool, FileError> {
        let flags = OFlags::WRONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let failed = |error| self.failed(error);
        // That it opens for writing shows that it may be replaced: a new file in its place asks for no such right.
        let file = match rustix::fs::openat(directory, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return replace(directory, name, None, text).map(|()| true).map_err(failed),
            Err(Errno::LOOP) => self.files.root.resolve(below, flags).map_err(failed)?,
            Err(error) => return Err(failed(error)),
        };
        let stat = self.stat(&file)?;
        if !is_regular(&stat) {
            return Err(FileError::NotAFile(self.name()));
        }
        match replaceable(directory, name, &stat).then(|| replace(directory, name, Some(&stat), text)) {
            Some(Ok(())) => {}
            Some(Err(error @ (Errno::NOSPC | Errno::DQUOT))) => return Err(failed(error)),
            Some(Err(_)) | None => {
                overwrite(file, text).map_err(|source| FileError::Io { path: self.name(), source })?;
            }
        }
        Ok(false)
    }
}

/// The text of a file, or the part that is asked for.
fn text(file: File, asked: &ReadTextFileRequest, at: &At<'_>) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Io { path: at.name(), source };
    let mut text = Vec::new();
    let mut rest = BufReader::new(file.take(MAX_SKIPPED));
    for _ in 1..asked.line.unwrap_or(1) {
        if rest.skip_until(b'\n').map_err(failed)? == 0 {
            break;
        }
    }
    if rest.get_ref().limit() == 0 {
        return Err(FileError::TooFar(at.name()));
    }
    rest.get_mut().set_limit(MAX_SKIPPED);
    let mut rest = rest.take(MAX_TEXT + 1);
    match asked.limit {
        None => drop(rest.read_to_end(&mut text).map_err(failed)?),
        Some(limit) => {
            for _ in 0..limit {
                if rest.read_until(b'\n', &mut text).map_err(failed)? == 0 {
                    break;
                }
            }
        }
    }
    if text.len() as u64 > MAX_TEXT { Err(FileError::TooLong(at.name())) } else { Ok(text) }
}

/// Whether a new file may take the place of this one, and nobody could tell but by the text.
fn replaceable(directory: &OwnedFd, name: &OsStr, stat: &Stat) -> bool {
    // Through a link the name would be that of the link.
    let named = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    let same = named.is_ok_and(|named| (named.st_dev, named.st_ino) == (stat.st_dev, stat.st_ino));
    same && stat.st_nlink == 1 && stat.st_uid == rustix::process::geteuid().as_raw()
}

/// Puts a new file in the place of an old one, or where none is.
fn replace(directory: &OwnedFd, name: &OsStr, old: Option<&Stat>, text: &[u8]) -> rustix::io::Result<()> {
    let new = format!(".trunkline-{}", Uuid::now_v7());
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = rustix::fs::openat(directory, &new, flags, Mode::from_raw_mode(0o666))?;
    let done = fill(&file, old, text).and_then(|()| rustix::fs::renameat(directory, &new, directory, name));
    if done.is_err() {
        // The first error is the one to tell.
        let _ = rustix::fs::unlinkat(directory, &new, AtFlags::empty());
    }
    done
}

fn fill(file: &OwnedFd, old: Option<&Stat>, text: &[u8]) -> rustix::io::Result<()> {
    if let Some(old) = old {
        let group = Gid::from_raw(old.st_gid);
        if rustix::process::getegid() != group {
            rustix::fs::fchown(file, None, Some(group))?;
        }
        // What ran as the file's owner must not run another text as that: writing in place takes these bits away too.
        rustix::fs::fchmod(file, Mode::from_raw_mode(old.st_mode & 0o777))?;
    }
    let mut rest = text;
    while !rest.is_empty() {
        match rustix::io::write(file.as_fd(), rest) {
            Ok(n) => rest = &rest[n..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn overwrite(file: OwnedFd, text: &[u8]) -> io::Result<()> {
    let mut file = File::from(file);
    file.set_len(0)?;
    file.write_all(text)
}

fn is_regular(stat: &Stat) -> bool {
    rustix::fs::FileType::from_raw_mode(stat.st_mode as RawMode) == rustix::fs::FileType::RegularFile
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[cfg(test)]
mod tests;
