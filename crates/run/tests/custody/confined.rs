//! Commands that are shut in and try to get out, by each means that this machine has.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use trunkline_run::custody::{Exit, Spawn, probe};
use trunkline_run::sandbox::{Confinement, Found, Means};

use crate::support::{FIXTURE, Said, custody, python, sh, with_environment};

/// Each that works here, the strongest first. The same look that the daemon takes says what must hold; a machine that has
/// none is one where the kernel said why.
fn means() -> Vec<Means> {
    let Found { means, why } = probe(Path::new(FIXTURE));
    let all =
        [Means::Namespaces { processes: true }, Means::Namespaces { processes: false }, Means::Landlock];
    match means {
        Some(strongest) => all.into_iter().skip_while(|means| *means != strongest).collect(),
        None => {
            assert_eq!(why.len(), all.len(), "each was tried: {why:?}");
            // Straight to the descriptor: what a test prints is kept back while it passes.
            let skipped = format!("SKIPPED: nothing confines commands on this machine: {}\n", why.join("; "));
            io::stderr().write_all(skipped.as_bytes()).unwrap();
            Vec::new()
        }
    }
}

/// A workspace and what lies around it, in a directory that is nobody's temporary one.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        for name in ["work", "home", "outside"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        fs::write(dir.path().join("home/token"), "secret").unwrap();
        fs::write(dir.path().join("outside/file"), "theirs").unwrap();
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn confinement(&self, means: Means) -> Confinement {
        Confinement::by(means).with_network().writing([self.path("work")]).hiding([self.path("home")])
    }

    /// A command in the workspace.
    fn spawn(&self, means: Means, spawn: Spawn) -> Spawn {
        let mut env = spawn.env.clone();
        env.extend([
            ("PLACE".into(), self.dir.path().into()),
            ("DAEMON".into(), std::process::id().to_string().into()),
        ]);
        Spawn { cwd: self.path("work"), confine: Some(self.confinement(means)), env, ..spawn }
    }

    /// Nothing was changed that must not be.
    fn is_untouched(&self) {
        assert_eq!(fs::read_to_string(self.path("home/token")).unwrap(), "secret");
        assert_eq!(fs::read_to_string(self.path("outside/file")).unwrap(), "theirs");
        let names = |name: &str| fs::read_dir(self.path(name)).unwrap().count();
        assert_eq!((names("home"), names("outside")), (1, 1));
    }
}

/// Every attempt is a function; each says `refused`, or what it got.
const ATTEMPTS: &str = r#"
import ctypes, os, socket, threading
PLACE, DAEMON = os.environ["PLACE"], int(os.environ["DAEMON"])
HOME, OUTSIDE, WORK = (os.path.join(PLACE, name) for name in ("home", "outside", "work"))
LIBC = ctypes.CDLL(None, use_errno=True)

def read(path):
    with open(path) as file: return file.read()
def write(path):
    with open(path, "w") as file: file.write("mine")
def call(result):
    if result != 0: raise OSError(ctypes.get_errno(), "refused")
    return "done"
def above(path): return os.path.join(WORK, "..", os.path.relpath(path, PLACE))
def through(path):
    link = os.path.join(WORK, "link")
    if os.path.lexists(link): os.remove(link)
    os.symlink(path, link)
    return link
def by_name(name):
    found = [pid for pid in os.listdir("/proc") if pid.isdigit() and int(pid) == DAEMON]
    if not found: raise FileNotFoundError("no such process is seen")
    return f"/proc/{DAEMON}/{name}"
def swapped():
    """A directory of ours that becomes a link to another's while it is used."""
    inside, swap, over = os.path.join(WORK, "inside"), os.path.join(WORK, "swap"), threading.Event()
    os.makedirs(inside, exist_ok=True)
    def swapping():
        while not over.is_set():
            os.rename(inside, swap); os.symlink(OUTSIDE, inside); os.remove(inside); os.rename(swap, inside)
    thread = threading.Thread(target=swapping); thread.start()
    for _ in range(2000):
        try: write(os.path.join(inside, "file"))
        except OSError: pass
    over.set(); thread.join()
    if read(os.path.join(OUTSIDE, "file")) == "theirs": raise PermissionError("what is outside was not written")
def fork_in_namespace(then):
    if LIBC.unshare(0x10000000 | 0x20000) != 0: raise OSError(ctypes.get_errno(), "unshare")
    return then()
def in_child(work):
    done = os.fork()
    if done == 0:
        try: work(); os._exit(1)
        except OSError: os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(done, 0)[1]) == 0: raise PermissionError("refused in a child")

ATTACKS = {
    "read the token": lambda: read(os.path.join(HOME, "token")),
    "read it from above": lambda: read(above(os.path.join(HOME, "token"))),
    "read it through a link": lambda: read(through(os.path.join(HOME, "token"))),
    "write beside it": lambda: write(os.path.join(HOME, "new")),
    "write outside": lambda: write(os.path.join(OUTSIDE, "file")),
    "write from above": lambda: write(above(os.path.join(OUTSIDE, "file"))),
    "write through a link": lambda: write(through(os.path.join(OUTSIDE, "file"))),
    "swap links": swapped,
    "make a file outside": lambda: write(os.path.join(OUTSIDE, "new")),
    "remove outside": lambda: os.remove(os.path.join(OUTSIDE, "file")),
    "rename outside": lambda: os.rename(os.path.join(OUTSIDE, "file"), os.path.join(WORK, "file")),
    "link from outside": lambda: os.link(os.path.join(HOME, "token"), os.path.join(WORK, "token")),
    "another's root": lambda: read(by_name("root") + os.path.join(HOME, "token")),
    "another's directory": lambda: os.listdir(by_name("cwd") + "/"),
    "another's descriptors": lambda: os.stat(by_name("fd/0")),
    "another's environment": lambda: read(by_name("environ")),
    "another's memory": lambda: read(by_name("mem")),
    "trace the daemon": lambda: call(LIBC.ptrace(16, DAEMON, 0, 0)),
    "mount": lambda: call(LIBC.mount(b"tmpfs", WORK.encode(), b"tmpfs", 0, None)),
    "bind": lambda: call(LIBC.mount(OUTSIDE.encode(), WORK.encode(), None, 4096, None)),
    "unmount": lambda: call(LIBC.umount2(HOME.encode(), 2)),
    "make it writable": lambda: call(LIBC.mount(None, b"/", None, 32 | 4096, None)),
    "unmount in a namespace": lambda: in_child(lambda: fork_in_namespace(lambda: call(LIBC.umount2(HOME.encode(), 2)))),
    "make it writable in a namespace":
        lambda: in_child(lambda: fork_in_namespace(lambda: call(LIBC.mount(None, b"/", None, 32 | 4096, None)))),
    "the machine's settings": lambda: write("/proc/sys/kernel/core_pattern"),
    "a disk": lambda: read(next((f"/dev/{name}" for name in os.listdir("/dev") if name.startswith(("vd", "sd", "nvme"))), "/dev/none")),
    "a socket outside": lambda: socket.socket(socket.AF_UNIX).connect(os.path.join(OUTSIDE, "socket")),
}
for name, attack in ATTACKS.items():
    try: say(f"{name}: {attack()!r}")
    except OSError: say(f"{name}: refused")
say("work: " + (write(os.path.join(WORK, "new")) or read(os.path.join(WORK, "new"))))
say("fds: " + " ".join(sorted(os.listdir("/proc/self/fd"))))
say("privileges: " + next(line.split()[1] for line in read("/proc/self/status").splitlines() if line.startswith("NoNewPrivs")))
"#;

/// What Landlock does not refuse: it hides no names, and leaves it to the kernel's own rules who may write settings, read a
/// disk, or connect to a socket that is a file.
const BEYOND_LANDLOCK: [&str; 2] = ["a socket outside", "a disk"];

#[tokio::test]
async fn no_attempt_gets_out() {
    for means in means() {
        let place = Place::new();
        let socket = place.path("outside/socket");
        let _socket = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let mut child = custody().spawn(place.spawn(means, python(ATTEMPTS))).await.unwrap();
        let said = Said::of(&mut child).rest().await;
        let stderr = child.stderr_tail();
        assert_eq!(child.ended().await, Exit::Code(0), "{means}: {said:?} {stderr}");
        let (tail, attacks) = (said.len() - 3, said.iter().take(said.len() - 3));
        for attack in attacks {
            let known =
                means == Means::Landlock && BEYOND_LANDLOCK.iter().any(|name| attack.starts_with(name));
            assert!(attack.ends_with(": refused") || known, "{means}: {attack}");
        }
        assert!(tail >= 25);
        // The fourth is the listing's own.
        assert_eq!(said[tail..], ["work: mine", "fds: 0 1 2 3", "privileges: 1"], "{means}");
        fs::remove_file(socket).unwrap();
        place.is_untouched();
    }
}

#[tokio::test]
async fn nothing_survives_its_command() {
    for means in means() {
        let place = Place::new();
        let script = r#"
import time
read, write = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.write(write, b"x")
        time.sleep(3600)
    os._exit(0)
os.wait()
os.read(read, 1)
say("it runs")
"#;
        let mut spawn = place.spawn(means, python(script));
        let marker = format!("SURVIVOR={}", place.dir.path().display());
        let (name, value) = marker.split_once('=').unwrap();
        spawn.env.push((name.into(), value.into()));
        let mut child = custody().spawn(spawn).await.unwrap();
        let mut said = Said::of(&mut child);
        assert_eq!(said.line().await.as_deref(), Some("it runs"), "{means}");
        assert_eq!(child.ended().await, Exit::Code(0), "{means}");
        assert_eq!(with_environment(&marker), [0; 0], "{means}");
    }
}

#[tokio::test]
async fn an_end_is_told_as_it_was() {
    for means in means() {
        let place = Place::new();
        for (script, exit) in [
            ("exit 7", Exit::Code(7)),
            ("kill -TERM $$", Exit::Signal(15)),
            ("kill -KILL $$", Exit::Signal(9)),
        ] {
            let child = custody().spawn(place.spawn(means, sh(script))).await.unwrap();
            assert_eq!(child.ended().await, exit, "{means}: {script}");
        }
        let mut child = custody()
            .spawn(place.spawn(means, sh("trap 'exit 5' TERM; echo ready; while :; do read x; done")))
            .await
            .unwrap();
        Said::of(&mut child).line().await.unwrap();
        assert_eq!(
            child.stop(crate::support::LONG).await.unwrap(),
            Exit::Code(5),
            "{means}: it heard that it was to end"
        );
    }
}

#[tokio::test]
async fn without_a_network_nobody_is_reached() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    for means in means() {
        let place = Place::new();
        let script = format!(
            "import socket\ntry: socket.create_connection(('127.0.0.1', {port}), 5); say('reached')\nexcept OSError: say('refused')"
        );
        for (network, expected) in [(true, "reached"), (false, "refused")] {
            let mut spawn = place.spawn(means, python(&script));
            let alone = Confinement::by(means).writing([place.path("work")]);
            spawn.confine = Some(if network { alone.with_network() } else { alone });
            let mut child = custody().spawn(spawn).await.unwrap();
            assert_eq!(Said::of(&mut child).rest().await, [expected], "{means}");
        }
    }
}

#[tokio::test]
async fn what_cannot_be_confined_does_not_run() {
    for means in means().into_iter().filter(|means| *means != Means::Landlock) {
        let place = Place::new();
        symlink("/nowhere", place.path("work/state")).unwrap();
        let mut spawn = place.spawn(means, sh("touch ran"));
        spawn.confine = Some(place.confinement(means).hiding([place.path("work")]));
        spawn.cwd = place.path("work/gone");
        let refused = custody().spawn(spawn).await.unwrap_err().to_string();
        assert!(refused.contains("that directory does not exist"), "{refused}");
        assert!(!place.path("work/ran").exists());
    }
}
