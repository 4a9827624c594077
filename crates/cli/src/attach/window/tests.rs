use super::*;

/// A window of 20 by 5 onto the middle of a transcript.
fn window(first: usize, lines: &str, total: usize) -> Window {
    let (mut window, place) = Window::new((20, 5));
    assert_eq!(place, Place::End);
    window.show(part(first, lines, total));
    window
}

fn part(first: usize, lines: &str, total: usize) -> Part {
    let lines = lines.lines().map(|line| Line::new(Tone::Plain, line)).collect();
    Part { first, lines, total, found: None }
}

fn press(window: &mut Window, keys: &str) -> Step {
    let mut last = Step::Paint;
    for c in keys.chars() {
        last = match c {
            '\r' => window.key(Key::Enter, Held::NOTHING),
            '↑' => window.key(Key::Up, Held::NOTHING),
            '⇞' => window.key(Key::PageUp, Held::NOTHING),
            '⇟' => window.key(Key::PageDown, Held::NOTHING),
            '⌫' => window.key(Key::Backspace, Held::NOTHING),
            '⎋' => window.key(Key::Escape, Held::NOTHING),
            c => window.key(Key::Char(c), Held::NOTHING),
        };
    }
    last
}

/// What a terminal of that size shows.
fn screen(window: &Window) -> String {
    let rows = u16::try_from(window.height + 1).unwrap();
    let mut terminal = vt100::Parser::new(rows, u16::try_from(window.columns).unwrap(), 0);
    terminal.process("left over\r\n".repeat(3).as_bytes());
    terminal.process(window.frame(Paint::COLOURED, 0).as_bytes());
    terminal.screen().contents()
}

fn text(window: &Window) -> String {
    let shown = screen(window);
    shown.lines().take(window.height).map(str::trim_end).collect::<Vec<_>>().join("|")
}

const TEN: &str = "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight\nnine\nten";

#[test]
fn it_opens_at_the_end_and_moves_by_lines_pages_and_to_the_ends() {
    let mut window = window(0, TEN, 10);
    insta::assert_snapshot!(screen(&window), @r"
    seven
    eight
    nine
    ten
    lines 7-10 of 10 ·
    ");
    assert_eq!(press(&mut window, "k↑"), Step::Paint);
    assert_eq!(text(&window), "five|six|seven|eight");
    press(&mut window, "⇞");
    assert_eq!(text(&window), "two|three|four|five");
    press(&mut window, "⇞⇞");
    assert_eq!(text(&window), "one|two|three|four");
    press(&mut window, "j⇟");
    assert_eq!(text(&window), "five|six|seven|eight");
    press(&mut window, "⇟⇟⇟");
    assert_eq!(text(&window), "seven|eight|nine|ten");
    press(&mut window, "g");
    assert_eq!(text(&window), "one|two|three|four");
    assert_eq!(press(&mut window, "G"), Step::Read(Place::End), "there may be more by now");
    assert_eq!(press(&mut window, "j\r"), Step::Paint, "nothing moves until it is here");
    assert_eq!(text(&window), "one|two|three|four");
    window.show(part(0, TEN, 10));
    assert_eq!(text(&window), "seven|eight|nine|ten");
    assert_eq!(press(&mut window, "q"), Step::Leave);
}

#[test]
fn a_short_transcript_begins_at_the_top() {
    let mut short = window(0, "one\ntwo", 2);
    assert_eq!(text(&short), "one|two||");
    press(&mut short, "jj⇟k");
    assert_eq!(text(&short), "one|two||");
    let mut empty = window(0, "", 0);
    press(&mut empty, "jk⇟⇞/x\r");
    empty.show(Part::default());
    assert!(screen(&empty).contains("nothing is told yet"), "{}", screen(&empty));
}

#[test]
fn what_is_not_here_is_asked_for() {
    let mut window = window(100, TEN, 110);
    assert_eq!(press(&mut window, "⇞"), Step::Paint);
    assert_eq!(press(&mut window, "⇞"), Step::Read(Place::Line(100)));
    window.show(part(95, TEN, 110));
    assert_eq!(text(&window), "six|seven|eight|nine");
    press(&mut window, "j");
    assert_eq!(press(&mut window, "j"), Step::Read(Place::Line(102)));
    window.fail("the daemon does not answer".to_owned());
    assert!(window.status(0).contains("the daemon does not answer"));
    assert_eq!(press(&mut window, "g"), Step::Read(Place::Line(0)), "it can be tried again");
}

#[test]
fn a_search_goes_to_the_next_match_in_both_directions() {
    let mut window = window(0, TEN, 10);
    press(&mut window, "?e\r");
    assert_eq!(window.part.found, Some(9), "ten is the last of those on the screen");
    press(&mut window, "n");
    assert_eq!(window.part.found, Some(8));
    press(&mut window, "nnn");
    assert_eq!(window.part.found, Some(4));
    assert_eq!(text(&window), "three|four|five|six");
    press(&mut window, "N");
    assert_eq!(window.part.found, Some(6));
    press(&mut window, "/T\r");
    let asked = Place::Match { needle: Needle::new("T").unwrap(), from: 4, back: false };
    assert_eq!(window.reading, Some(asked), "capital letters are meant");
    window.show(Part::default());
    assert!(window.status(0).contains("not found"));
    assert_eq!(text(&window), "five|six|seven|eight", "it stays where it was");
    press(&mut window, "/two\r");
    window.show(Part { found: Some(1), ..part(0, TEN, 10) });
    assert_eq!(text(&window), "one|two|three|four");
    let frame = window.frame(Paint::COLOURED, 0);
    assert!(frame.contains("\u{1b}[7mtwo\u{1b}[0m"), "{frame}");
}

#[test]
fn what_is_typed_to_be_searched_for_can_be_corrected_and_given_up() {
    let mut window = window(0, TEN, 10);
    press(&mut window, "/fivex⌫");
    assert!(screen(&window).ends_with("/five"), "{}", screen(&window));
    press(&mut window, "⎋");
    assert_eq!((window.search.clone(), window.part.found), (None, None));
    press(&mut window, "?x⌫⌫");
    assert!(window.typing.is_none());
    assert_eq!(press(&mut window, "n"), Step::Paint);
    assert!(window.status(0).contains("/ and ? search"));
    press(&mut window, &format!("/{}", "ab".repeat(200)));
    assert!(screen(&window).ends_with("\n/babababababababab"), "{}", screen(&window));
    assert_eq!(window.typing.as_ref().map(|typing| typing.text.len()), Some(MAX_NEEDLE));
}

#[test]
fn wide_letters_and_long_lines_are_broken_at_any_width() {
    let lines = "日本語日本語日本語\nlong words and more of them\nlast";
    let mut window = window(0, lines, 3);
    for columns in [80, 20, 7, 3, 2] {
        window.resize((columns, 5));
        for _ in 0..60 {
            let shown = screen(&window);
            assert!(shown.lines().count() <= 5, "{shown}");
            press(&mut window, "k");
        }
        assert!(text(&window).starts_with('日'), "{}", text(&window));
        for _ in 0..60 {
            press(&mut window, "j");
        }
        assert_eq!(window.last_row().0, 2);
    }
    window.resize((7, 5));
    assert_eq!(text(&window), "and|more of|them|last", "who is at the end stays there");
}

#[test]
fn requests_that_wait_are_told() {
    let mut window = window(0, TEN, 10);
    window.resize((120, 5));
    assert!(window.status(1).contains("1 request waits for you"));
    assert!(window.status(2).contains("2 requests wait for you"));
}
