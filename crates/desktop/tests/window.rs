//! The window as a person meets it: on a screen of its own, against a real daemon with the demo agent at work.
//!
//! `make test-desktop` runs this; it needs Xvfb, a window manager, and what photographs them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// How long anything may take on a busy machine, in seconds.
const PATIENCE: &str = "60";
/// What the page's title is while one request waits.
const WAITING: &str = r"^\(1\) .*Trunkline$";

#[test]
fn the_window_shows_the_page_once_and_remembers_its_size() {
    let world = World::new();
    world.trunkline(&["open", "--demo", "--url"]);

    assert_eq!(world.trunkline(&["desktop"]), "the window is open");
    let window = world.window(WAITING);
    let photo = world.photo();
    assert!(photo.colours > 100, "a page is shown, not {} colours", photo.colours);

    assert_eq!(world.trunkline(&["desktop"]), "the window was open already");
    assert_eq!(world.all_windows(WAITING), std::slice::from_ref(&window), "there is one window");

    world.tool("xdotool", &["windowsize", "--sync", &window, "900", "700"]);
    world.tool("wmctrl", &["-i", "-c", &window]);
    world.wait_until_gone(&window);
    assert_eq!(world.trunkline(&["desktop"]), "the window is open");
    let window = world.window(WAITING);
    let size = world.tool("xdotool", &["getwindowgeometry", "--shell", &window]);
    assert!(size.contains("WIDTH=900\nHEIGHT=700"), "{size}");

    world.trunkline(&["stop"]);
    // The page says so in its own words, in place; what can be seen from outside is that the window stays.
    assert_eq!(world.all_windows("Trunkline$"), [window]);
}

#[test]
fn without_a_screen_it_says_what_to_do_instead() {
    let world = World::new();
    let output = world.command(&["desktop"]).env_remove("DISPLAY").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("there is no screen here") && error.contains("open --url"), "{error}");
}

/// A screen, a home, and a daemon in it.
struct World {
    screen: Child,
    manager: Child,
    display: String,
    home: PathBuf,
}

struct Photo {
    colours: u32,
}

impl World {
    fn new() -> Self {
        let mut screen = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1400x900x24", "-nolisten", "tcp"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Xvfb is needed: apt-get install xvfb");
        let mut number = String::new();
        BufReader::new(screen.stdout.take().unwrap()).read_line(&mut number).unwrap();
        let display = format!(":{}", number.trim());
        let manager = Command::new("openbox")
            .env("DISPLAY", &display)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a window manager is needed: apt-get install openbox");
        let name = format!("trunkline-window-{}-{}", std::process::id(), number.trim());
        let home = std::env::temp_dir().join(name);
        fs::create_dir(&home).unwrap();
        let world = Self { screen, manager, display, home };
        let closed =
            ["--listen", "127.0.0.1:0", "--engram-listen", "off", "--announce", "off", "--notify", "off"];
        world.trunkline(&[&["serve", "--detach"], &closed[..]].concat());
        world
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let trunkline = std::env::var_os("TRUNKLINE").expect("TRUNKLINE is the program to test");
        let window = Path::new(env!("CARGO_BIN_EXE_trunkline-desktop")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new(trunkline);
        command
            .args(["--home", self.home.to_str().unwrap()])
            .args(arguments)
            .env("PATH", format!("{}:{path}", window.display()))
            .env("DISPLAY", &self.display)
            .env_remove("WAYLAND_DISPLAY");
        command
    }

    /// What a command of the program says, without what it says aside where that is all.
    fn trunkline(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stderr).trim().to_owned()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new("timeout");
        command.arg(PATIENCE).arg(program).args(arguments).env("DISPLAY", &self.display);
        command.output().unwrap_or_else(|error| panic!("{program} is needed: {error}"))
    }

    fn tool(&self, program: &str, arguments: &[&str]) -> String {
        let output = self.run(program, arguments);
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// The window with such a title, once there is one.
    fn window(&self, title: &str) -> String {
        let found = self.tool("xdotool", &["search", "--sync", "--onlyvisible", "--name", title]);
        found.lines().next().unwrap().to_owned()
    }

    fn all_windows(&self, title: &str) -> Vec<String> {
        let found = self.run("xdotool", &["search", "--onlyvisible", "--name", title]);
        String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect()
    }

    fn wait_until_gone(&self, window: &str) {
        // It watches the window until that is destroyed.
        drop(self.run("xprop", &["-spy", "-id", window, "WM_STATE"]));
    }

    /// Photographs the screen, into the file that `PHOTO` names if it does.
    fn photo(&self) -> Photo {
        let file = std::env::var_os("PHOTO").map_or_else(|| self.home.join("photo.png"), PathBuf::from);
        let file = file.to_str().unwrap();
        self.tool("import", &["-window", "root", "-trim", "+repage", file]);
        let colours = self.tool("identify", &["-format", "%k", file]);
        Photo { colours: colours.parse().unwrap() }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(self.command(&["stop"]).output());
        for child in [&mut self.manager, &mut self.screen] {
            drop(child.kill());
            drop(child.wait());
        }
        drop(fs::remove_dir_all(&self.home));
    }
}
