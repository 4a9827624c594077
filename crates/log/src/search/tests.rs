use proptest::prelude::*;

use super::*;

fn session(n: u8) -> SessionId {
    SessionId::new(uuid::Uuid::from_bytes([n; 16]))
}

fn passage(seq: u64, text: &str) -> Passage {
    Passage { seq: Seq(seq), at: Time(7), said: Said::Answer, text: text.to_owned() }
}

fn found(search: &Search, typed: &str) -> Vec<(SessionId, u64)> {
    let words = Words::parse(typed).unwrap();
    let hits = search.find(&words, None, None, 50).unwrap();
    hits.iter().map(|hit| (hit.session, hit.seq.0)).collect()
}

#[test]
fn passages_are_found_by_their_words_newest_first() {
    let search = Search::in_memory().unwrap();
    search
        .add(session(1), &[passage(3, "The parser fails"), passage(9, "Fixed the Parsers")], Seq(9))
        .unwrap();
    search.add(session(2), &[passage(2, "Größe of src/parse.rs: 日本")], Seq(5)).unwrap();
    assert_eq!(found(&search, "parse"), [(session(2), 2), (session(1), 9), (session(1), 3)]);
    assert_eq!(found(&search, "parser fail"), [(session(1), 3)]);
    assert_eq!(found(&search, "\"fails parser\""), []);
    assert_eq!(found(&search, "größe"), [(session(2), 2)]);
    assert_eq!(found(&search, "grö"), [(session(2), 2)]);
    assert_eq!(found(&search, "src/parse.rs"), [(session(2), 2)]);
    assert_eq!(found(&search, "日"), [(session(2), 2)]);
    let words = Words::parse("parse").unwrap();
    let first = search.find(&words, None, None, 1).unwrap();
    let rest = search.find(&words, None, Some(first[0].id), 9).unwrap();
    assert_eq!(rest.len(), 2);
    assert_eq!(search.find(&words, Some(session(2)), None, 9).unwrap().len(), 1);
    let excerpt = &first[0].excerpt;
    assert!(excerpt.contains(&("parse".to_owned(), true)), "{excerpt:?}");
    assert_eq!(search.upto(session(1)).unwrap(), Seq(9));
    search.forget(session(1)).unwrap();
    assert_eq!((found(&search, "parse").len(), search.upto(session(1)).unwrap()), (1, Seq::ZERO));
}

#[test]
fn it_is_kept_and_made_anew_when_it_cannot_be_read() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("search.db");
    let search = Search::open(&path).unwrap();
    search.add(session(1), &[passage(1, "kept")], Seq(1)).unwrap();
    search.reached(Pos(42)).unwrap();
    drop(search);
    let search = Search::open(&path).unwrap();
    assert_eq!((found(&search, "kept").len(), search.place().unwrap()), (1, Pos(42)));
    drop(search);
    for damage in ["", "this is no database, and long enough to be looked at as one"] {
        fs::write(&path, damage).unwrap();
        let search = Search::open(&path).unwrap();
        assert_eq!((found(&search, "kept").len(), search.place().unwrap()), (0, Pos(0)));
    }
}

#[test]
fn damage_in_the_middle_is_found_and_mended() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("search.db");
    let search = Search::open(&path).unwrap();
    let many: Vec<_> = (1..2_000).map(|n| passage(n, &format!("kept word{n}"))).collect();
    search.add(session(1), &many, Seq(2_000)).unwrap();
    search.reached(Pos(42)).unwrap();
    search.mend().unwrap();
    assert_eq!((found(&search, "word7").len() > 1, search.place().unwrap()), (true, Pos(42)), "it was sound");
    drop(search);
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle - 8_192..middle + 8_192].fill(0xAA);
    fs::write(&path, bytes).unwrap();
    let search = Search::open(&path).unwrap();
    search.mend().unwrap();
    assert_eq!((found(&search, "word7").len(), search.place().unwrap()), (0, Pos(0)));
    search.add(session(1), &many, Seq(2_000)).unwrap();
    assert!(found(&search, "word7").len() > 1);
}

proptest! {
    #[test]
    fn whatever_is_typed_is_no_error(typed in ".{0,40}", text in ".{0,80}") {
        let search = Search::in_memory().unwrap();
        search.add(session(1), &[passage(1, &text)], Seq(1)).unwrap();
        if let Some(words) = Words::parse(&typed) {
            prop_assert!(search.find(&words, None, None, 5).is_ok(), "{typed}");
        }
    }
}
