//! Choosing among sessions, looking back in one, and a terminal that changes its size.

use std::fs;
use std::process::Command;

use crate::home::Home;
use crate::pty::Pty;

const ENTER: &str = "\r";
const ESCAPE: &str = "\u{1b}";
const CTRL_B: &str = "\u{2}";
const PAGE_UP: &str = "\u{1b}[5~";

/// A home with an agent that tells many lines.
fn teller() -> Home {
    let home = Home::unconfined();
    let path = home.path().join("config.toml");
    let config = fs::read_to_string(&path).unwrap();
    let agent = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/teller.py");
    let argv = format!("[agents.teller]\nargv = [{:?}, {agent:?}]\n", python());
    fs::write(path, format!("{argv}{config}")).unwrap();
    home
}

/// The interpreter itself, which needs nothing of the environment.
fn python() -> String {
    let named = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().unwrap();
    String::from_utf8(named.stdout).unwrap().trim().to_owned()
}

/// A terminal attached to an agent that has told so many lines.
fn told(home: &Home, lines: usize) -> Pty {
    let pty = Pty::run(home, &["run", "teller", &lines.to_string()]);
    pty.sees("ready");
    pty.sees(&format!("line {lines}:"));
    pty
}

#[test]
fn one_of_several_sessions_is_picked_from_a_list() {
    let home = Home::new();
    let first = home.prints(&["run", "demo", "--detach", "--title", "First"]);
    let only = Pty::run(&home, &["attach"]);
    only.sees("ready");
    home.prints(&["run", "demo", "--detach", "--title", "Second"]);
    let untold = home.run(&["attach"]);
    assert_eq!(untold.code, 2);
    assert!(untold.out.contains("First") && untold.out.contains("Second"), "{}", untold.out);
    assert!(untold.err.starts_with("error: attach needs a terminal"), "{}", untold.err);

    let mut pty = Pty::run(&home, &["attach"]);
    let screen = pty.sees("2 of this directory");
    assert!(screen.contains("› idle") && screen.contains("Second"), "{screen}");
    pty.send("/FIR");
    pty.sees_no("Second");
    pty.send(ENTER);
    pty.sees("ready");
    assert!(!pty.is_aside());
    pty.send(&format!("{CTRL_B}d"));
    let (code, all) = pty.ends();
    assert_eq!(code, Some(0));
    assert!(all.contains(&format!("trunkline attach {}", &first.trim()[28..])), "{all}");

    let mut unsure = Pty::run(&home, &["attach"]);
    unsure.sees("2 of this directory");
    // One that is made meanwhile is in the list too.
    home.prints(&["run", "demo", "--detach", "--title", "Third"]);
    unsure.sees("Third");
    unsure.send("q");
    assert_eq!(unsure.ends().0, Some(0));
    assert!(unsure.is_given_back());
}

#[test]
fn what_has_scrolled_away_is_looked_at_and_searched() {
    let home = teller();
    let mut pty = told(&home, 400);
    pty.send(PAGE_UP);
    pty.sees("lines ");
    assert!(pty.is_aside());
    pty.send(PAGE_UP);
    pty.sees_no("line 400:");
    pty.send("g");
    let screen = pty.sees("lines 1-23 of");
    assert!(screen.contains("› 400") && screen.contains("line 1:"), "{screen}");
    pty.send("/Line 3");
    pty.sees("/Line 3");
    pty.send(ENTER);
    pty.sees("not found");
    pty.send("/line 250:");
    pty.send(ENTER);
    pty.sees("line 250: 日");
    pty.send("?LINE");
    pty.sees("?LINE");
    pty.send(ESCAPE);
    pty.sees_no("?LINE");
    pty.send("?line 25:");
    pty.send(ENTER);
    pty.sees("line 25: 日");
    pty.send("/line 25");
    pty.send(ENTER);
    pty.send("n");
    pty.sees("line 250: 日");
    pty.send("N");
    pty.sees("line 25: 日");
    // Before the first one comes the last one.
    pty.send("N");
    pty.sees("line 259: 日");
    pty.send("G");
    pty.sees("line 400: 日");
    pty.send("q");
    let screen = pty.sees("ready");
    assert!(screen.contains("line 400:") && !pty.is_aside(), "{screen}");
    // Keys that mean something while looking back are text again, and Ctrl-B is Ctrl-B in both.
    pty.send("g/n");
    pty.sees("› g/n");
    pty.send(&format!("{CTRL_B}["));
    pty.sees("q goes back");
    pty.send(&format!("{CTRL_B}d"));
    assert_eq!(pty.ends().0, Some(0));
    assert!(pty.is_given_back());
}

#[test]
fn of_a_long_transcript_only_a_part_is_kept_and_all_of_it_can_be_seen() {
    let home = teller();
    let mut pty = told(&home, 30_000);
    pty.send(&format!("{CTRL_B}["));
    pty.sees("lines ");
    pty.send("g");
    pty.sees("line 1: 日");
    pty.send("/line 17000:");
    pty.send(ENTER);
    pty.sees("line 17000: 日");
    pty.send("/line 27000:");
    pty.send(ENTER);
    pty.sees("line 27000: 日");
    pty.send("/line 2:");
    pty.send(ENTER);
    pty.sees("line 2: 日");
    pty.send("G");
    pty.sees("line 30000: 日");
}

#[test]
fn what_happens_meanwhile_is_there_afterwards() {
    let home = teller();
    let mut pty = Pty::run(&home, &["run", "teller", "on and on"]);
    pty.sees("line 5: 日");
    pty.send(&format!("{CTRL_B}["));
    let before = pty.sees("lines ");
    fs::write(home.work().join("enough"), "").unwrap();
    home.is("idle");
    assert_eq!(pty.sees("lines "), before, "nothing moves under the eyes");
    let mark = pty.mark();
    pty.send("q");
    pty.sees("ready");
    let printed = pty.printed(mark, &["ready"]);
    let numbers = numbers(&printed);
    assert!(!numbers.is_empty(), "{printed}");
    assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "each is printed once: {numbers:?}");
}

/// The numbers of the lines in a text, in their order.
fn numbers(text: &str) -> Vec<usize> {
    let found = text.split("line ").skip(1).filter_map(|rest| rest.split_once(':')?.0.parse().ok());
    found.collect()
}

#[test]
fn the_screen_is_whole_after_each_resize_in_the_middle_of_a_stream() {
    let home = teller();
    let mut pty = Pty::run(&home, &["run", "teller", "on and on"]);
    pty.sees("line 5: 日");
    for (columns, rows) in [(40, 16), (100, 30), (12, 24), (7, 9), (2, 3), (80, 24), (31, 10)] {
        let mark = pty.mark();
        pty.resize(columns, rows);
        // Some frames of the new size, in the middle of which the next change comes.
        pty.frames(mark, 5);
    }
    pty.send(PAGE_UP);
    pty.sees("lines");
    for (columns, rows) in [(60, 12), (5, 5), (80, 24)] {
        let mark = pty.mark();
        pty.resize(columns, rows);
        pty.frames(mark, 2);
    }
    pty.send("q");
    fs::write(home.work().join("enough"), "").unwrap();
    pty.sees("ready");
    let screen = pty.sees("›");
    let numbers = numbers(&screen);
    assert!(numbers.len() > 3, "{screen}");
    assert!(numbers.windows(2).all(|two| two[0] + 1 == two[1]), "{screen}");
    assert_eq!(screen.matches("ready").count(), 1, "{screen}");
    assert_eq!(screen.matches('›').count(), 1, "{screen}");
}
