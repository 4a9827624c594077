//! What can be read and written, and what cannot. Each test runs with the kernel's walk and with ours.

use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use tempfile::TempDir;

use super::*;

const SECRET: &str = "the secret";

/// A workspace in a directory that also holds what is none of the agent's business.
struct Place {
    dir: TempDir,
    files: Files,
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("work").join(name)
    }

    fn outside(&self) -> PathBuf {
        self.dir.path().join("outside")
    }

    fn read(&self, path: impl Into<PathBuf>) -> Result<String, FileError> {
        self.lines(path, None, None)
    }

    fn lines(
        &self,
        path: impl Into<PathBuf>,
        line: Option<u32>,
        limit: Option<u32>,
    ) -> Result<String, FileError> {
        let asked = ReadTextFileRequest { session_id: String::new(), path: path.into(), line, limit };
        self.files.read(&asked).map(|(text, _)| text)
    }

    fn write(&self, path: impl Into<PathBuf>, content: &str) -> Result<FileWritten, FileError> {
        let (session_id, content) = (String::new(), content.to_owned());
        self.files.write(&WriteTextFileRequest { session_id, path: path.into(), content })
    }
}

fn places() -> [Place; 2] {
    [true, false].map(|kernel| {
        let dir = tempfile::tempdir().unwrap();
        let work = dir.path().join("work");
        std::fs::create_dir_all(work.join("sub/deep")).unwrap();
        std::fs::create_dir(dir.path().join("outside")).unwrap();
        std::fs::write(dir.path().join("outside/secret"), SECRET).unwrap();
        let Files { root, workspace } = Files::open(&work).unwrap();
        let root = if kernel { root } else { root.without_openat2() };
        Place { dir, files: Files { root, workspace } }
    })
}

#[test]
fn a_file_is_written_and_read_back() {
    for place in places() {
        let written = place.write(place.path("a.txt"), "one\n").unwrap();
        assert_eq!((written.created, written.bytes), (true, 4));
        assert_eq!(written.sha256, "2c8b08da5ce60398e1f19af0e5dccc744df274b826abe585eaba68c525434806");
        assert_eq!(place.read(place.path("a.txt")).unwrap(), "one\n");
        assert_eq!(place.read("a.txt").unwrap(), "one\n", "a relative path is meant from the workspace");
        assert!(!place.write(place.path("a.txt"), "").unwrap().created);
        assert_eq!(place.read(place.path("a.txt")).unwrap(), "");
        place.write(place.path("new/and/deep.txt"), "x").unwrap();
        assert_eq!(place.read(place.path("sub/../new/and/./deep.txt")).unwrap(), "x");
        let mut names: Vec<_> = std::fs::read_dir(place.path("")).unwrap().flatten().collect();
        names.retain(|entry| entry.file_name().to_string_lossy().starts_with('.'));
        assert!(names.is_empty(), "nothing of the writing is left behind");
    }
}

#[test]
fn a_part_of_a_file_is_read_by_its_lines() {
    for place in places() {
        place.write("a", "1\n2\r\n3\n4").unwrap();
        let read = |line, limit| place.lines("a", line, limit).unwrap();
        assert_eq!(read(None, Some(2)), "1\n2\r\n");
        assert_eq!(read(Some(0), Some(1)), "1\n");
        assert_eq!(read(Some(2), Some(2)), "2\r\n3\n");
        assert_eq!(read(Some(3), None), "3\n4");
        assert_eq!(read(Some(4), Some(9)), "4");
        assert_eq!((read(Some(5), None), read(Some(1), Some(0))), (String::new(), String::new()));
    }
}

#[test]
fn what_is_too_much_or_no_text_is_told() {
    for place in places() {
        std::fs::write(place.path("binary"), [b'a', 0xff, b'\n', b'b']).unwrap();
        let long = File::create(place.path("long")).unwrap();
        long.set_len(MAX_TEXT + 1).unwrap();
        let far = File::create(place.path("far")).unwrap();
        far.set_len(MAX_SKIPPED + 1).unwrap();
        let told = |path: &str, line| place.lines(path, line, None).unwrap_err().to_string();
        assert_eq!(told("binary", None), "binary is not UTF-8 text");
        assert_eq!(place.lines("binary", Some(2), None).unwrap(), "b");
        assert_eq!(
            told("long", None),
            "long: that is more than 16 MiB; read it in parts with `line` and `limit`"
        );
        assert_eq!(told("far", Some(2)), "far: that line is not within the first 256 MiB");
        assert_eq!(told("none", None), "none: there is no such file");
        assert_eq!(told("none/at/all", None), "none/at/all: there is no such file");
        assert_eq!(told("sub", None), "sub is not a regular file");
    }
}

#[test]
fn no_path_leads_out() {
    for place in places() {
        let outside = place.outside();
        symlink("../outside", place.path("link")).unwrap();
        symlink(&outside, place.path("absolute")).unwrap();
        symlink("../../outside/secret", place.path("sub/file")).unwrap();
        symlink("sub/../../outside/secret", place.path("around")).unwrap();
        symlink("/proc/self/cwd", place.path("magic")).unwrap();
        let leads_out = [
            outside.join("secret"),
            place.path("../outside/secret"),
            place.path("sub/../../outside/secret"),
            place.path("link/secret"),
            place.path("link/new"),
            place.path("link/../../outside/secret"),
            place.path("absolute/secret"),
            place.path("sub/file"),
            place.path("around"),
            place.path("magic/secret"),
            "../outside/secret".into(),
            "/proc/self/root/etc/passwd".into(),
            "/etc/passwd".into(),
            place.dir.path().join("workshop"),
        ];
        for path in leads_out {
            let read = place.read(&path).unwrap_err();
            let write = place.write(&path, "overwritten").unwrap_err();
            let outside = |error: &FileError| matches!(error, FileError::Outside { .. });
            assert!(outside(&read), "{read}");
            // `sub/file` and `around` are `..` links in the last place, refused when they are followed.
            assert!(outside(&write), "{write}");
            assert!(read.to_string().starts_with(path.to_str().unwrap()));
        }
        assert_eq!(std::fs::read_to_string(outside.join("secret")).unwrap(), SECRET);
        assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 1);
    }
}

/// With `/` as the workspace everything is within, but what is behind a process's doors is not a place.
#[test]
fn the_doors_in_proc_are_closed() {
    for kernel in [true, false] {
        let root = Root::open(Path::new("/")).unwrap();
        let root = if kernel { root } else { root.without_openat2() };
        let error = root.resolve(Path::new("proc/self/cwd/Cargo.toml"), OFlags::RDONLY).unwrap_err();
        assert!(matches!(error, Errno::LOOP | Errno::XDEV), "{error}");
        assert!(root.resolve(Path::new("proc/self/../uptime"), OFlags::RDONLY).is_ok());
    }
}

#[test]
fn links_within_are_followed_and_stay_links() {
    for place in places() {
        place.write("sub/file", "old").unwrap();
        symlink("deep/../file", place.path("sub/link")).unwrap();
        symlink("sub", place.path("way")).unwrap();
        assert_eq!(place.read("way/link").unwrap(), "old");
        assert!(!place.write("way/link", "new").unwrap().created);
        assert_eq!(place.read("sub/file").unwrap(), "new");
        assert!(place.path("sub/link").is_symlink());
        symlink("nowhere", place.path("dangling")).unwrap();
        assert!(matches!(place.write("dangling", "x"), Err(FileError::Missing(_))));
        symlink("loop", place.path("loop")).unwrap();
        assert!(matches!(place.read("loop"), Err(FileError::Io { .. })));
    }
}

#[test]
fn permissions_and_other_names_are_kept() {
    for place in places() {
        place.write("script", "old").unwrap();
        std::fs::set_permissions(place.path("script"), PermissionsExt::from_mode(0o4751)).unwrap();
        let before = place.path("script").metadata().unwrap();
        place.write("script", "new").unwrap();
        let after = place.path("script").metadata().unwrap();
        assert_eq!((after.mode() & 0o7777, after.gid()), (0o751, before.gid()), "but it runs as nobody else");
        assert_ne!(after.ino(), before.ino(), "it was replaced in one step");
        std::fs::hard_link(place.path("script"), place.path("twin")).unwrap();
        place.write("twin", "both").unwrap();
        assert_eq!(place.read("script").unwrap(), "both");
    }
}

#[test]
fn only_regular_files_are_touched() {
    for place in places() {
        let fifo = place.path("fifo");
        rustix::fs::mknodat(CWD, &fifo, rustix::fs::FileType::Fifo, Mode::from_raw_mode(0o666), 0).unwrap();
        std::os::unix::net::UnixListener::bind(place.path("socket")).unwrap();
        for path in ["fifo", "socket", "sub", "", "sub/..", "."] {
            assert!(matches!(place.read(path), Err(FileError::NotAFile(_))), "{path}");
            assert!(matches!(place.write(path, "x"), Err(FileError::NotAFile(_))), "{path}");
        }
        assert!(place.write("script/below", "x").is_ok());
        assert!(matches!(place.write("script/below/file", "x"), Err(FileError::Io { .. })));
    }
}

/// Somebody swaps a directory for a link to the outside, as fast as can be, while we read and write below it.
#[test]
fn a_link_that_takes_a_directorys_place_leads_nowhere() {
    for place in places() {
        let (inner, link) = (place.path("swapped"), place.path("evil"));
        std::fs::create_dir(&inner).unwrap();
        std::fs::write(inner.join("secret"), "inner").unwrap();
        symlink("../outside", &link).unwrap();
        let stop = AtomicBool::new(false);
        let mut seen = [0; 2];
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    renameat_with(CWD, &inner, CWD, &link, RenameFlags::EXCHANGE).unwrap();
                }
            });
            for _ in 0..20_000 {
                match place.read("swapped/secret") {
                    Ok(text) => {
                        assert_ne!(text, SECRET);
                        seen[0] += 1;
                    }
                    Err(_) => seen[1] += 1,
                }
                let _swapped = place.write("swapped/secret", "inner");
                let _swapped = place.write("swapped/new/file", "inner");
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(seen[0] > 0 && seen[1] > 0, "both were seen: {seen:?}");
        assert_eq!(std::fs::read_to_string(place.outside().join("secret")).unwrap(), SECRET);
        assert_eq!(std::fs::read_dir(place.outside()).unwrap().count(), 1);
    }
}

#[test]
fn the_workspace_is_known_by_both_its_names() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("real")).unwrap();
    symlink("real", dir.path().join("alias")).unwrap();
    let files = Files::open(&dir.path().join("alias")).unwrap();
    let place = Place { files, dir };
    place.write(place.dir.path().join("alias/a"), "x").unwrap();
    assert_eq!(place.read(place.dir.path().join("real/a")).unwrap(), "x");
}
