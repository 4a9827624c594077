//! A terminal for a command, and somebody who looks at it.

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::home::{Home, PATIENCE};

/// What the terminal shows, and whether the command has let go of it.
struct Shown {
    parser: vt100::Parser,
    /// Everything that was ever printed.
    all: Vec<u8>,
    over: bool,
}

/// A command in a terminal.
pub(crate) struct Pty {
    child: Child,
    master: File,
    shown: Arc<(Mutex<Shown>, Condvar)>,
}

impl Pty {
    /// Runs a command in a terminal of 80 by 24.
    pub(crate) fn run(home: &Home, args: &[&str]) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        tcsetwinsize(&master, size(80, 24)).unwrap();
        let slave = || open(&name, OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        let plain = home.command(args);
        // `setsid --ctty` makes the terminal the command's own, so that it hears of its size and its keys.
        let mut command = Command::new("/usr/bin/setsid");
        command.args(["--ctty", "--wait"]).arg(plain.get_program()).args(plain.get_args()).env_clear();
        command.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
        command.current_dir(plain.get_current_dir().unwrap());
        command.stdin(slave()).stdout(slave()).stderr(Stdio::from(slave()));
        let child = command.spawn().unwrap();
        drop(command);
        let master = File::from(master);
        let shown = Shown { parser: vt100::Parser::new(24, 80, 1_000), all: Vec::new(), over: false };
        let shown = Arc::new((Mutex::new(shown), Condvar::new()));
        watch(master.try_clone().unwrap(), Arc::clone(&shown));
        Self { child, master, shown }
    }

    /// Sends keys, all at once.
    pub(crate) fn send(&mut self, keys: &str) {
        self.master.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the screen shows this.
    pub(crate) fn sees(&self, text: &str) -> String {
        self.until(text, |shown| shown.parser.screen().contents().contains(text))
    }

    /// Waits until the screen no longer shows this.
    pub(crate) fn sees_no(&self, text: &str) -> String {
        self.until(text, |shown| !shown.parser.screen().contents().contains(text))
    }

    /// How much was printed until now.
    pub(crate) fn mark(&self) -> usize {
        self.shown.0.lock().unwrap().all.len()
    }

    /// Waits until one of these was printed since the mark, though it may have scrolled away; gives what was printed.
    pub(crate) fn printed(&self, mark: usize, texts: &[&str]) -> String {
        let since = |shown: &Shown| String::from_utf8_lossy(&shown.all[mark..]).into_owned();
        self.until(&texts.join(" or "), |shown| texts.iter().any(|text| since(shown).contains(text)));
        since(&self.shown.0.lock().unwrap())
    }

    fn until(&self, what: &str, done: impl Fn(&Shown) -> bool) -> String {
        let start = Instant::now();
        let (shown, changed) = &*self.shown;
        let mut shown = shown.lock().unwrap();
        while !done(&shown) {
            let screen = shown.parser.screen().contents();
            assert!(!shown.over, "the command ended before `{what}`:\n{screen}");
            let left = PATIENCE
                .checked_sub(start.elapsed())
                .unwrap_or_else(|| panic!("waiting for `{what}`:\n{screen}"));
            shown = changed.wait_timeout(shown, left).unwrap().0;
        }
        shown.parser.screen().contents()
    }

    /// Gives the terminal another size.
    pub(crate) fn resize(&self, columns: u16, rows: u16) {
        self.shown.0.lock().unwrap().parser.screen_mut().set_size(rows, columns);
        tcsetwinsize(&self.master, size(columns, rows)).unwrap();
    }

    /// Whether the terminal is as a shell wants it: lines are edited and echoed, and pastes come as they are.
    pub(crate) fn is_given_back(&self) -> bool {
        let modes = tcgetattr(&self.master).unwrap().local_modes;
        let shown = self.shown.0.lock().unwrap();
        let screen = shown.parser.screen();
        modes.contains(LocalModes::ICANON | LocalModes::ECHO)
            && !screen.bracketed_paste()
            && !screen.hide_cursor()
            && !screen.alternate_screen()
    }

    /// Whether the other screen is shown.
    pub(crate) fn is_aside(&self) -> bool {
        self.shown.0.lock().unwrap().parser.screen().alternate_screen()
    }

    /// Waits until so many frames were painted since the mark.
    pub(crate) fn frames(&self, mark: usize, many: usize) {
        const END: &[u8] = b"\x1b[?2026l";
        let painted = |shown: &Shown| shown.all[mark..].windows(END.len()).filter(|at| *at == END).count();
        self.until(&format!("{many} frames"), |shown| painted(shown) >= many);
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).unwrap();
    }

    /// Waits for the command's end: its exit code and everything it ever printed.
    pub(crate) fn ends(&mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let (shown, changed) = &*self.shown;
        let (shown, _) =
            changed.wait_timeout_while(shown.lock().unwrap(), PATIENCE, |shown| !shown.over).unwrap();
        (code, String::from_utf8_lossy(&shown.all).into_owned())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }
}

fn watch(mut master: File, shown: Arc<(Mutex<Shown>, Condvar)>) {
    std::thread::spawn(move || {
        let mut bytes = [0; 4096];
        loop {
            // A terminal that nobody has open any more gives an error.
            let read = master.read(&mut bytes).unwrap_or(0);
            let mut now = shown.0.lock().unwrap();
            now.parser.process(&bytes[..read]);
            now.all.extend_from_slice(&bytes[..read]);
            now.over = read == 0;
            shown.1.notify_all();
            if read == 0 {
                return;
            }
        }
    });
}
