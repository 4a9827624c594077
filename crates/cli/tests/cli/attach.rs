use rustix::process::Signal;

use crate::home::Home;
use crate::pty::Pty;

const ENTER: &str = "\r";
const CTRL_B: &str = "\u{2}";
const CTRL_C: &str = "\u{3}";

/// A terminal attached to a fresh session.
fn attached(home: &Home) -> Pty {
    let pty = Pty::run(home, &["run", "demo"]);
    pty.sees("ready");
    pty
}

#[test]
fn a_prompt_is_typed_and_a_permission_answered_by_a_key() {
    let home = Home::new();
    let mut pty = attached(&home);
    pty.send("look around");
    pty.send(ENTER);
    let screen = pty.sees("press a key to answer");
    assert!(screen.contains("  1 Allow (y)") && screen.contains("  + Asked: look around"), "{screen}");
    answer(&mut pty, "y", "✔ Write trunkline-demo.md → Allow");
    let screen = pty.sees("nothing left this machine.");
    assert!(screen.contains("Done: `trunkline-demo.md` has"), "{screen}");
    pty.sees("ready");
    assert!(home.work().join("trunkline-demo.md").exists());
    pty.send(&format!("{CTRL_B}d"));
    let (code, all) = pty.ends();
    assert_eq!(code, Some(0));
    assert!(all.contains("detached"), "{all}");
    assert!(pty.is_given_back());
}

/// Presses a key until it is taken: a card takes none before it has been seen for a moment.
fn answer(pty: &mut Pty, key: &str, outcome: &str) {
    let hint = "that was quick";
    pty.sees("press a key to answer");
    loop {
        let mark = pty.mark();
        pty.send(key);
        if pty.printed(mark, &[outcome, hint]).contains(outcome) {
            return;
        }
    }
}

#[test]
fn what_is_pasted_or_typed_does_not_answer() {
    let home = Home::unconfined();
    let mut pty = attached(&home);
    // What a permission is worth is said before the first is asked for.
    pty.sees("not confined");
    pty.send("look around");
    pty.send(ENTER);
    pty.sees("press a key to answer");
    pty.send("\u{1b}[200~1\u{1b}[201~");
    let screen = pty.sees("› 1");
    assert!(screen.contains("Tab to answer"), "{screen}");
    pty.send("y");
    pty.sees("› 1y");
    assert_eq!(home.json(&["inbox"])["items"].as_array().unwrap().len(), 1, "nothing was answered");
    // Emptied again and asked for, the card takes the key.
    pty.send("\u{15}");
    pty.sees_no("› 1y");
    pty.send("\t");
    answer(&mut pty, "n", "✗ Write trunkline-demo.md → Reject");
    pty.sees("alone. What I found is above.");
}

#[test]
fn detaching_leaves_the_turn_running_and_attaching_shows_it_again() {
    let home = Home::new();
    let mut pty = attached(&home);
    pty.send("look around");
    pty.send(ENTER);
    pty.sees("press a key to answer");
    pty.send(&format!("{CTRL_B}d"));
    assert_eq!(pty.ends().0, Some(0));
    home.is("waiting");

    let mut again = Pty::run(&home, &["attach"]);
    let screen = again.sees("press a key to answer");
    assert!(screen.contains("look around"), "{screen}");
    home.prints(&["token", "create", "phone"]);
    home.prints(&["allow"]);
    again.sees("nothing left this machine.");
    again.send("and again");
    again.send(ENTER);
    again.sees("press a key to answer");
    again.send(CTRL_C);
    again.sees("Ctrl-C again cancels the turn");
    again.send(CTRL_C);
    again.sees("cancelled after");
    again.send(CTRL_C);
    again.sees("Ctrl-C again leaves");
    again.send(CTRL_C);
    assert_eq!(again.ends().0, Some(0));
}

#[test]
fn a_prompt_during_a_turn_waits_for_its_turn() {
    let home = Home::new();
    let mut pty = attached(&home);
    pty.send("first");
    pty.send(ENTER);
    pty.sees("press a key to answer");
    pty.send("\tsecond");
    pty.send(ENTER);
    crate::home::patiently("a queue", || (home.json(&["ls"])["items"][0]["queued"] == 1).then_some(()));
    pty.send("\t");
    answer(&mut pty, "y", "✔ Write trunkline-demo.md → Allow");
    pty.printed(0, &["› second\r\n"]);
    answer(&mut pty, "n", "✗ Write trunkline-demo.md → Reject");
}

#[test]
fn the_terminal_is_given_back_when_the_process_is_ended() {
    let home = Home::new();
    for signal in [Signal::TERM, Signal::HUP] {
        let mut pty = attached(&home);
        assert!(!pty.is_given_back());
        pty.signal(signal);
        assert_eq!(pty.ends().0, Some(130), "{signal:?}");
        assert!(pty.is_given_back(), "{signal:?}");
    }
}

#[test]
fn the_screen_is_filled_again_after_a_resize() {
    let home = Home::new();
    let mut pty = attached(&home);
    pty.send("look around");
    pty.send(ENTER);
    pty.sees("press a key to answer");
    pty.resize(40, 16);
    pty.send("\tx");
    let screen = pty.sees("› x");
    assert!(screen.lines().all(|line| line.chars().count() <= 40), "{screen}");
    assert_eq!(screen.matches("1 Allow (y)").count(), 1, "{screen}");
}

#[test]
fn the_daemon_may_go_and_come_back() {
    let home = Home::new();
    let mut pty = attached(&home);
    home.prints(&["stop"]);
    pty.sees("connection lost");
    home.prints(&["ls"]);
    pty.sees("ready");
    pty.send("look around");
    pty.send(ENTER);
    pty.sees("press a key to answer");
}

#[test]
fn a_deleted_session_ends_it() {
    let home = Home::new();
    let mut pty = attached(&home);
    let id = home.json(&["ls"])["items"][0]["id"].as_str().unwrap().to_owned();
    home.prints(&["rm", "--force", &id]);
    let (code, all) = pty.ends();
    assert_eq!(code, Some(3));
    assert!(all.contains("the session was deleted"), "{all}");
    assert!(pty.is_given_back());
}

#[test]
fn one_that_only_looks_sends_nothing_is_called_and_knows_who_else_is_there() {
    let home = Home::new();
    let mut pty = attached(&home);
    let mut looker = Pty::run(&home, &["attach", "--read-only"]);
    looker.sees("also attached: terminal by owner");
    looker.sees("ready");
    looker.send("hello");
    looker.send(ENTER);
    looker.sees("attached to look only: nothing is sent");
    assert_eq!(home.json(&["ls"])["items"][0]["turns"], 0, "no turn was begun");
    let mark = looker.mark();
    pty.send("look around");
    pty.send(ENTER);
    pty.sees("press a key to answer");
    looker.printed(mark, &["\u{7}"]);
    looker.sees("1 Allow (y)");
    assert_eq!(home.json(&["inbox"])["items"].as_array().unwrap().len(), 1, "it still waits");
}

#[test]
fn what_is_too_old_is_left_out_and_what_runs_is_not() {
    let home = Home::new();
    let mut pty = attached(&home);
    pty.send("look around");
    pty.send(ENTER);
    pty.sees("press a key to answer");
    pty.send(&format!("{CTRL_B}d"));
    pty.ends();
    let late = Pty::run(&home, &["attach", "--since", "0s"]);
    let screen = late.sees("1 Allow (y)");
    assert!(!screen.contains("I will have a look around"), "{screen}");
}
