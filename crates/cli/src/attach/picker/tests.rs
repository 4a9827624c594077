use super::*;

fn session(n: u32, json: &str) -> SessionView {
    let rest = r#""driver":"acp","created_at":0,"created_by":"owner","turns":1,"queued":0"#;
    let id = format!("0190163d-8694-739b-aea5-966c26f8ad{n:02}");
    serde_json::from_str(&format!(r#"{{"id":"{id}",{json},{rest}}}"#)).unwrap()
}

fn picker() -> Picker {
    let sessions = vec![
        session(
            1,
            r#""state":"waiting","pending":2,"agent":"gemini","title":"Fix the test","workspace":"/src/app","updated_at":3590000"#,
        ),
        session(
            2,
            r#""state":"running","pending":0,"agent":"claude","title":"日本語","workspace":"/src/app","updated_at":60000"#,
        ),
        session(3, r#""state":"closed","pending":0,"agent":"gemini","workspace":"/src/old","updated_at":0"#),
    ];
    Picker::new(Some("/src/app".to_owned()), sessions)
}

fn screen(picker: &Picker, columns: u16, rows: u16) -> String {
    let mut terminal = vt100::Parser::new(rows, columns, 0);
    terminal.process(picker.frame(Paint::COLOURED, (columns, rows), Time(3_600_000)).as_bytes());
    terminal.screen().contents()
}

fn press(picker: &mut Picker, keys: &str) -> Step {
    let mut last = Step::Paint;
    for c in keys.chars() {
        last = match c {
            '\r' => picker.key(Key::Enter, Held::NOTHING),
            '⎋' => picker.key(Key::Escape, Held::NOTHING),
            '↓' => picker.key(Key::Down, Held::NOTHING),
            '⌫' => picker.key(Key::Backspace, Held::NOTHING),
            c => picker.key(Key::Char(c), Held::NOTHING),
        };
    }
    last
}

fn taken(picker: &mut Picker, keys: &str) -> String {
    match press(picker, keys) {
        Step::Take(id) => id.to_string()[34..].to_owned(),
        other => format!("{other:?}"),
    }
}

#[test]
fn it_lists_and_one_is_chosen() {
    insta::assert_snapshot!(screen(&picker(), 60, 6), @r"
      STATE        TITLE         AGENT   CHANGED
    › waiting (2)  Fix the test  gemini  10s ago
      running      日本語        claude  59m ago
      closed       26f8ad03      gemini  1h ago

    3 of this directory · Enter attaches · / filters · q leave…
    ");
    assert_eq!(taken(&mut picker(), "\r"), "01", "the first, unless another is chosen");
    assert_eq!(taken(&mut picker(), "j↓k\r"), "02");
    assert_eq!(taken(&mut picker(), "jjjjjj\r"), "03");
    assert_eq!(taken(&mut picker(), "Ggk\r"), "01");
    assert_eq!(press(&mut picker(), "jq"), Step::Leave);
    assert_eq!(press(&mut picker(), "⎋"), Step::Leave);
}

#[test]
fn a_filter_lets_those_through_that_have_all_its_words() {
    let mut picker = picker();
    press(&mut picker, "/GEM");
    insta::assert_snapshot!(screen(&picker, 60, 5), @r"
      STATE        TITLE         AGENT   CHANGED
    › waiting (2)  Fix the test  gemini  10s ago
      closed       26f8ad03      gemini  1h ago

    /GEM
    ");
    assert_eq!(taken(&mut picker, "↓\r"), "03", "letters are typed, arrows choose");
    press(&mut picker, " fix");
    assert_eq!(taken(&mut picker, "\r"), "01");
    press(&mut picker, " q");
    assert_eq!(taken(&mut picker, "\r"), "Paint", "there is nothing to take");
    press(&mut picker, "⎋");
    assert_eq!((picker.filter.as_str(), picker.typing, picker.listed().len()), ("", false, 3));
    press(&mut picker, "/x⌫⌫");
    assert!(!picker.typing);
}

#[test]
fn the_choice_stays_with_its_session_when_the_list_changes() {
    let mut picker = picker();
    press(&mut picker, "j");
    let mut changed = picker.sessions.clone();
    changed.reverse();
    picker.show(Ok(changed));
    assert_eq!(taken(&mut picker, "\r"), "02");
    assert_eq!(press(&mut picker, "a"), Step::Read);
    assert_eq!(picker.workspace(), None);
    picker.show(Err(crate::error::CliError::failure("the daemon is away")));
    assert!(picker.status(3).contains("the daemon is away") && picker.listed().len() == 3);
    press(&mut picker, "a");
    assert_eq!(picker.workspace().as_deref(), Some("/src/app"));
}

#[test]
fn a_small_screen_shows_the_chosen_one() {
    let mut picker = picker();
    picker.sessions = (1..60)
        .map(|n| {
            session(
                n,
                &format!(r#""state":"idle","pending":0,"agent":"a","title":"number {n}","updated_at":0"#),
            )
        })
        .collect();
    for (columns, rows) in [(60, 6), (20, 4), (2, 2), (9, 1)] {
        press(&mut picker, "g");
        for _ in 0..58 {
            let shown = screen(&picker, columns, rows);
            assert!(shown.lines().count() <= usize::from(rows), "{shown}");
            let number = format!("number {}", picker.at(&picker.listed()) + 1);
            assert!(columns < 60 || shown.contains(&number), "{shown}");
            press(&mut picker, "j");
        }
    }
}
