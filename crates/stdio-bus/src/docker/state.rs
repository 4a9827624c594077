//! What is known of routers that were started as containers: a folder for each, in a folder of the user's.

use std::fs::{self, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// One container's folder.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

/// The folder of all of them: the user's alone, as it says which processes are ended.
fn root() -> Result<PathBuf, String> {
    let user = rustix::process::getuid().as_raw();
    let root = std::env::temp_dir().join(format!("stdio_bus-docker-{user}"));
    let failed = |error: std::io::Error| format!("{}: {error}", root.display());
    match fs::DirBuilder::new().mode(0o700).create(&root) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
        Ok(()) | Err(_) => {}
    }
    let found = fs::symlink_metadata(&root).map_err(failed)?;
    if !found.is_dir() || found.uid() != user || found.mode() & 0o022 != 0 {
        return Err(format!("{} is not a folder of this user's alone", root.display()));
    }
    Ok(root)
}

impl Folder {
    /// Makes the folder of a container, which may have a name as well.
    pub(super) fn make(id: &str, name: Option<&str>) -> Result<Self, String> {
        let root = root()?;
        if let Some(name) = name {
            let plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_.-".contains(c));
            if !plain || name.starts_with('.') {
                return Err(format!("'{name}' is no name for a container"));
            }
            let link = root.join(name);
            if running(&link).is_some() {
                return Err(format!("The container name '{name}' is already in use"));
            }
            // What is left of one that has ended is in nobody's way.
            let _old = fs::remove_file(&link);
            symlink(id, &link).map_err(|error| format!("{}: {error}", link.display()))?;
        }
        let folder = root.join(id);
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        Ok(Self(folder))
    }

    /// Writes a file; returns its path.
    pub(super) fn write(&self, name: &str, text: String) -> Result<String, String> {
        let path = self.0.join(name);
        fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// The log, to write.
    pub(super) fn log(&self) -> Result<File, String> {
        File::create(self.0.join("log")).map_err(|error| error.to_string())
    }

    /// The log, to read.
    pub(super) fn open_log(&self) -> Option<File> {
        File::open(self.0.join("log")).ok()
    }

    /// What the log says.
    pub(super) fn read_log(&self) -> String {
        fs::read_to_string(self.0.join("log")).unwrap_or_default().trim_end().to_owned()
    }
}

/// The process of a container, by its folder, if it runs. Its log is open in it, which no stranger with its number has.
fn running(folder: &Path) -> Option<(Pid, std::os::fd::OwnedFd)> {
    let number: i32 = fs::read_to_string(folder.join("pid")).ok()?.trim().parse().ok()?;
    let pid = Pid::from_raw(number)?;
    let process = pidfd_open(pid, PidfdFlags::empty()).ok()?;
    let log = fs::metadata(folder.join("log")).ok()?;
    let open = fs::metadata(format!("/proc/{number}/fd/2")).ok()?;
    ((open.dev(), open.ino()) == (log.dev(), log.ino())).then_some((pid, process))
}

/// The folder of a container, by its id, the beginning of that, or its name.
fn find(name: &str) -> Result<PathBuf, String> {
    let root = root()?;
    let entries = fs::read_dir(&root).map_err(|error| error.to_string())?;
    let mut names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let exact = root.join(name);
    if !name.contains('/') && !name.starts_with('.') && exact.exists() {
        return fs::canonicalize(exact).map_err(|error| error.to_string());
    }
    match names.find(|known| name.len() >= 12 && known.starts_with(name)) {
        Some(known) => fs::canonicalize(root.join(known)).map_err(|error| error.to_string()),
        None => Err(format!("No such container: {name}")),
    }
}

/// Ends a container: politely, and after so many seconds for good.
pub(super) fn stop(name: &str, seconds: u64) -> Result<(), String> {
    end(name, &[(Signal::TERM, seconds), (Signal::KILL, 1)])
}

/// Kills a container.
pub(super) fn kill(name: &str) -> Result<(), String> {
    end(name, &[(Signal::KILL, 1)])
}

fn end(name: &str, signals: &[(Signal, u64)]) -> Result<(), String> {
    let folder = find(name)?;
    if let Some((_, process)) = running(&folder) {
        for &(signal, seconds) in signals {
            // One that has ended meanwhile needs no signal.
            let _sent = pidfd_send_signal(&process, signal);
            let wait = Timespec { tv_sec: seconds.try_into().unwrap_or(i64::MAX), tv_nsec: 0 };
            let mut ended = [PollFd::new(&process, PollFlags::IN)];
            if poll(&mut ended, Some(&wait)).is_ok_and(|count| count > 0) {
                break;
            }
        }
    }
    if let Some(id) = folder.file_name().and_then(|id| id.to_str()) {
        forget(id);
    }
    Ok(())
}

/// Removes what is known of a container.
pub(super) fn forget(id: &str) {
    let Ok(root) = root() else { return };
    let names = fs::read_dir(&root).into_iter().flatten().filter_map(Result::ok);
    for link in
        names.map(|entry| entry.path()).filter(|path| fs::read_link(path).is_ok_and(|to| to == Path::new(id)))
    {
        let _removed = fs::remove_file(link);
    }
    let _removed = fs::remove_dir_all(root.join(id));
}

/// The ids of containers that run.
pub(super) fn list() -> Vec<String> {
    let entries = root().ok().and_then(|root| fs::read_dir(root).ok()).into_iter().flatten();
    let folders =
        entries.filter_map(Result::ok).filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let running = folders.filter(|entry| running(&entry.path()).is_some());
    running.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}
