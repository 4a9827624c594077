//! The person's other programs: the browser, and what shows notifications.

use std::process::{Command, Stdio};

/// Opens an address in the person's browser.
pub fn open(address: &str) {
    start(Command::new("xdg-open").arg(address));
}

/// Tells of something that is done, where notifications are shown.
pub fn notify(title: &str, text: &str) {
    start(Command::new("notify-send").args(["--app-name=Trunkline", "--", title, text]));
}

/// Starts a program, and waits for it aside, so that nothing is left of it. One that is not there is not missed.
fn start(command: &mut Command) {
    let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Ok(mut child) = silent.spawn() {
        std::thread::spawn(move || drop(child.wait()));
    }
}
