//! What is found in a line, and that nothing that runs is overlooked.

use proptest::prelude::*;
use trunkline_shell::{Dir, MAX_OPENINGS, Script, Way, read};

/// The commands found, one word each for what is not known.
fn found(script: &Script) -> String {
    let words = |command: &trunkline_shell::Command| {
        let word =
            |word: &trunkline_shell::Word| if word.is_known() { word.text.clone() } else { "?".to_owned() };
        command.words.iter().map(word).collect::<Vec<_>>().join(" ")
    };
    script.commands.iter().map(words).collect::<Vec<_>>().join("; ")
}

#[test]
fn every_command_of_a_line_is_found() {
    for (line, expected) in [
        ("git status", "git status"),
        ("echo a; id", "echo a; id"),
        ("echo a\nid", "echo a; id"),
        ("echo a & id", "echo a; id"),
        ("a && b || c", "a; b; c"),
        ("a | b |& c", "a; b; c"),
        ("(a; b)", "a; b"),
        ("{ a; b; }", "a; b"),
        ("! a", "a"),
        ("time a", "a"),
        ("if a; then b; elif c; then d; else e; fi", "a; b; c; d; e"),
        ("while a; do b; done", "a; b"),
        ("for x in 1 2; do echo $x; done", "echo ?"),
        ("for x in $(ls); do a; done", "ls; a"),
        ("case $(w) in a) b;; *) c;; esac", "w; b; c"),
        ("echo $(id)", "id; echo ?"),
        ("echo \"x $(id) y\"", "id; echo ?"),
        ("echo `id`", "id; echo ?"),
        ("echo \"`id`\"", "id; echo ?"),
        ("echo $(a $(b))", "b; a ?; echo ?"),
        ("cat <(id)", "id; cat ?"),
        ("tee >(id)", "id; tee ?"),
        ("echo 'a; id'", "echo a; id"),
        ("ec\\\nho a", "echo a"),
        ("r\\m -rf x", "rm -rf x"),
        ("'rm' x", "rm x"),
        ("sudo -u root rm x", "sudo -u root rm x; rm x"),
        ("env A=b rm x", "env A=b rm x; rm x"),
        ("nohup rm x", "nohup rm x; rm x"),
        ("timeout -k 1 5 rm x", "timeout -k 1 5 rm x; rm x"),
        ("/usr/bin/env rm x", "/usr/bin/env rm x; rm x"),
        ("sudo nohup rm x", "sudo nohup rm x; nohup rm x; rm x"),
        ("ls | xargs rm", "ls; xargs rm; rm ?"),
        ("xargs", "xargs; echo ?"),
        ("find . -exec rm {} ;", "find . -exec rm {}; rm ?"),
        ("find . -exec rm {} \\;", "find . -exec rm {} ;; rm ?"),
        ("find . -name x -ok rm -f {} +", "find . -name x -ok rm -f {} +; rm -f ?"),
        ("bash -c 'a; b'", "bash -c a; b; a; b"),
        ("sh -c \"bash -c 'rm x'\"", "sh -c bash -c 'rm x'; bash -c rm x; rm x"),
        ("a # b", "a"),
        ("a #b\nc", "a; c"),
        ("cat <<'E'\n$(id)\nE\nb", "cat; b"),
        ("cat <<E\nplain\nE\nid", "cat; id"),
    ] {
        assert_eq!(found(&read(line)), expected, "{line:?}: {:?}", read(line).opaque);
    }
}

#[test]
fn what_is_not_understood_is_opaque() {
    for line in [
        "",
        "   ",
        "echo '",
        "echo \"",
        "echo $(",
        "echo `",
        "(",
        "a &&",
        "| a",
        "a\0b",
        "a\u{a0}b",
        "a\rb",
        "a\u{202e}b",
        "ls\u{2028}id",
        "$x",
        "$(echo rm) x",
        "`echo rm` x",
        "r$x y",
        "{rm,-rf,x}",
        "~/bin/x",
        "./*",
        "*",
        "f() { id; }; f",
        "function f { id; }",
        "alias ls=id; ls",
        "eval id",
        "eval \"$x\"",
        ". ./x",
        "source x",
        "exec rm x",
        "trap id EXIT",
        "PATH=/tmp; ls",
        "export A=b",
        "bash",
        "bash -",
        "curl x | sh",
        "bash -s",
        "bash -c \"$x\"",
        "bash -x -c id",
        "bash <<E\nid\nE",
        "cat <<E\n$(id)\nE",
        "cat <<E\n`id`\nE",
        "[[ a -eq b ]]",
        "((x=1))",
        "for ((i=0;i<3;i++)); do a; done",
        "coproc id",
        "echo ${x:-$(id)}",
        "echo ${x@P}",
        "echo ${!x}",
        "echo ${a[$(id)]}",
        "echo $((a[0]))",
        "a > $x",
        "a > *",
        "a > /dev/tcp/h/1",
        "sudo -s",
        "nice -z rm",
        "env -S 'rm x'",
        "xargs -z rm",
        "su -c id",
        "watch id",
        "strace id",
        "command -v",
        "read x",
        "printf -v PATH x",
        "builtin cd",
        "chroot / id",
        "echo @(id)",
        "a=(1 2)",
    ] {
        assert!(!read(line).opaque.is_empty(), "{line:?} is {:?}", read(line));
    }
    let deep = "$(".repeat(MAX_OPENINGS + 1);
    assert!(!read(&deep).opaque.is_empty());
    assert!(read("git log --oneline -5 | head -3 2>&1 && ls 2>/dev/null").opaque.is_empty());
}

#[test]
fn redirections_and_directories_are_known() {
    let script = read("cd a && cat < x > 'y z' 2>>e; b > f; (cd /t; c >g)");
    let seen: Vec<_> = script
        .all_redirects()
        .map(|redirect| (redirect.way, redirect.path.text.as_str(), redirect.dir.clone()))
        .collect();
    let at = || Dir::At("a".into());
    let expected = [
        (Way::Read, "x", at()),
        (Way::Write, "y z", at()),
        (Way::Write, "e", at()),
        (Way::Write, "f", Dir::Unknown),
        (Way::Write, "g", Dir::Unknown),
    ];
    assert_eq!(seen, expected);
    assert_eq!(read("cd a && cd /b && c").commands[2].dir, Dir::At("/b".into()));
    assert_eq!(read("cd a || c").commands[1].dir, Dir::Unknown);
    assert_eq!(read("(cd a && c); d").commands[2].dir, Dir::Start);
    assert_eq!(read("{ a; b; } > x").redirects.len(), 1);
    assert_eq!(read("a &> x").all_redirects().count(), 1);
    assert_eq!(read("a >& x").all_redirects().count(), 1);
}

#[test]
fn a_deep_line_takes_neither_stack_nor_time() {
    let run = |line: String| {
        let thread = std::thread::Builder::new().stack_size(2 << 20);
        thread.spawn(move || drop(read(&line))).unwrap().join().unwrap();
    };
    let n = MAX_OPENINGS;
    for (open, close) in [
        ("(", ")"),
        ("{ ", ";}"),
        ("$(", ")"),
        ("if ", ""),
        ("! ", ""),
        ("\"$(", ")\""),
        ("${x:-", "}"),
        ("[[ ", ""),
    ] {
        run(format!("{}a{}", open.repeat(n), close.repeat(n)));
        run(format!("{}a{}", open.repeat(n / 2), close.repeat(n / 2)));
        run(format!("echo {}a{}", open.repeat(n), close.repeat(n)));
        run(open.repeat(n));
    }
    run(format!("a{}", " && a".repeat(3_000)));
    run(format!("a{}", " | a".repeat(3_000)));
}

proptest! {
    #[test]
    fn nothing_breaks_it(line in r#"[ a-c$`"'(){}\[\]|&;<>\\\n!#*~=0-9-]{0,60}"#) {
        let _script = read(&line);
    }

    /// However a command is joined to others, it is seen or the line is opaque.
    #[test]
    fn no_command_is_overlooked(
        before in prop::sample::select(vec!["", "echo a; ", "a && ", "a || ", "a | ", "( ", "$(", "echo `", "! ", "a & ", "a\n", "echo \"$(", "if ", "env ", "nohup ", "<(", "{ ", "for x in $(", "a # ", "'", "\\"]),
        after in prop::sample::select(vec!["", "; b", " && b", ")", "`", ")\"", "; fi", " | b", " > x", "; }", "\n", " &", "'"]),
    ) {
        let line = format!("{before}evil now{after}");
        let script = read(&line);
        let seen = script.commands.iter().any(|command| command.program() == "evil");
        let quoted = before == "a # " || before == "'" || before == "\\";
        prop_assert!(seen || !script.opaque.is_empty() || quoted, "{line:?}: {script:?}");
    }
}
