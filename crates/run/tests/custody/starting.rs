//! What a command gets, and why one does not start.

use std::ffi::OsString;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use trunkline_run::custody::{
    Custody, CustodyOptions, Exit, FailureKind, Limits, Spawn, SpawnError, boot_id,
};
use uuid::Uuid;

use crate::support::*;

#[tokio::test]
async fn the_environment_is_what_was_given() {
    let custody = custody();
    let odd = OsString::from_vec(b"b\xff =\n".to_vec());
    let env = vec![("A".into(), "1".into()), ("ODD".into(), odd.clone()), ("EMPTY".into(), "".into())];
    let spawn = Spawn { env, ..Spawn::new(["/usr/bin/env", "-0"], "/") };
    let mut child = custody.spawn(spawn).await.unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut said = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stdout, &mut said).await.unwrap();
    let mut said: Vec<&[u8]> = said.split(|&byte| byte == 0).filter(|entry| !entry.is_empty()).collect();
    said.sort();
    assert_eq!(said, [&b"A=1"[..], b"EMPTY=", b"ODD=b\xff =\n"]);
}

#[tokio::test]
async fn no_environment_is_no_environment() {
    let custody = custody();
    let mut child = custody.spawn(Spawn::new(["env"], "/")).await.unwrap();
    assert_eq!(Said::of(&mut child).rest().await, [""; 0]);
    assert_eq!(child.ended().await, Exit::Code(0));
}

#[tokio::test]
async fn the_command_has_three_descriptors() {
    // One that our own programs would inherit.
    let leak = std::fs::File::open("/dev/null").unwrap();
    rustix::io::fcntl_setfd(&leak, rustix::io::FdFlags::empty()).unwrap();
    assert!(leak.as_raw_fd() > 2);
    let custody = custody();
    let mut child = custody.spawn(python("say(os.listdir('/proc/self/fd'))")).await.unwrap();
    // The fourth is the directory being listed.
    assert_eq!(Said::of(&mut child).line().await.unwrap(), "['0', '1', '2', '3']");
}

#[tokio::test]
async fn the_command_is_alone_in_its_group_and_no_session_leader() {
    let custody = custody();
    let script = "say(f'{os.getpid()} {os.getpgrp()} {os.getsid(0)} {os.getppid()} {os.getcwd()}'); input()";
    let mut child = custody.spawn(Spawn { cwd: "/usr".into(), ..python(script) }).await.unwrap();
    let (pid, keep) = (child.process().pid, custody.scan()[0].keep_pid);
    assert_eq!(Said::of(&mut child).line().await.unwrap(), format!("{pid} {pid} {keep} {keep} /usr"));
}

#[tokio::test]
async fn a_process_is_named_by_its_start_too() {
    let custody = custody();
    let mut child = custody.spawn(sh("cut -d' ' -f22 /proc/$$/stat; read x")).await.unwrap();
    let started = Said::of(&mut child).line().await.unwrap();
    assert_eq!(child.process().start_time.to_string(), started);
    assert_ne!(boot_id().unwrap(), Uuid::nil());
}

#[tokio::test]
async fn limits_bind_the_command() {
    let custody = custody();
    let limits = Limits { open_files: Some(77), core_size: Some(0), ..Limits::default() };
    let mut child = custody.spawn(Spawn { limits, ..sh("ulimit -Sn; ulimit -Hn; ulimit -c") }).await.unwrap();
    assert_eq!(Said::of(&mut child).rest().await, ["77", "77", "0"]);
    assert_eq!(child.ended().await, Exit::Code(0));

    let limits = Limits { open_files: Some(u64::MAX - 1), ..Limits::default() };
    let child = custody.spawn(Spawn { limits, ..sh("exit 4") }).await.unwrap();
    assert_eq!(child.ended().await, Exit::Code(4), "more than the hard limit is the hard limit");

    // The signal is at its default action, so it ends the writer.
    let home = tempfile::tempdir().unwrap();
    let limits = Limits { file_size: Some(1000), core_size: Some(0), ..Limits::default() };
    let spawn = Spawn { limits, cwd: home.path().into(), ..sh("exec dd if=/dev/zero of=big bs=1k count=9") };
    assert_eq!(custody.spawn(spawn).await.unwrap().ended().await, Exit::Signal(25));
}

#[tokio::test]
async fn a_resource_runs_once() {
    let custody = custody();
    let spawn = |incarnation| Spawn { resource: "agent/1".to_owned(), incarnation, ..sh("read x") };
    let (first, second) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let child = custody.spawn(spawn(first)).await.unwrap();
    let refused = custody.spawn(spawn(second)).await.unwrap_err();
    assert!(
        matches!(&refused, SpawnError::Running { incarnation, .. } if *incarnation == first),
        "{refused}"
    );
    child.stop(LONG).await.unwrap();
    let child = custody.spawn(spawn(second)).await.unwrap();
    assert_eq!(custody.scan()[0].incarnation, second);
    child.stop(LONG).await.unwrap();
}

/// Runs what cannot start: the kind of failure, and the message with the directory shown as `~`.
async fn fails(custody: &Custody, home: &Path, argv: &[&str]) -> (FailureKind, String) {
    let spawn = Spawn { argv: argv.iter().map(OsString::from).collect(), cwd: home.into(), ..sh("") };
    match custody.spawn(spawn).await {
        Err(SpawnError::Failed(failure)) => {
            (failure.kind, failure.message.replace(home.to_str().unwrap(), "~"))
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_command_that_cannot_start_is_told_with_what_where_and_why() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let file = |name: &str, text: &str, mode| {
        std::fs::write(home.join(name), text).unwrap();
        std::fs::set_permissions(home.join(name), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    file("plain", "echo hello", 0o644);
    file("script", "#!/no/such/interpreter\n", 0o755);
    let custody = custody();
    use FailureKind::*;
    let cases: [(&[&str], _, &str); 5] = [
        (
            &["no-such-agent", "--acp"],
            NotFound,
            "cannot run `no-such-agent --acp` in ~: there is no `no-such-agent` on PATH (/usr/local/bin:/usr/bin:/bin)",
        ),
        (&["./missing"], NotFound, "cannot run `./missing` in ~: there is no such file"),
        (
            &["./plain"],
            NotExecutable,
            "cannot run `./plain` in ~: ~/./plain is not executable (permission denied)",
        ),
        (&["/usr"], NotExecutable, "cannot run `/usr` in ~: /usr is a directory"),
        (
            &["./script", "a\nb"],
            NotExecutable,
            "cannot run `./script a b` in ~: ~/./script is there, but not the interpreter or loader it names",
        ),
    ];
    for (argv, kind, message) in cases {
        assert_eq!(fails(&custody, home, argv).await, (kind, message.to_owned()));
    }

    let gone = home.join("gone");
    let expected = (BadCwd, "cannot run `env` in ~: that directory does not exist".to_owned());
    assert_eq!(fails(&custody, &gone, &["env"]).await, expected);
    let expected = (BadCwd, "cannot run `env` in ~: that is not a directory".to_owned());
    assert_eq!(fails(&custody, &home.join("plain"), &["env"]).await, expected);

    for huge in [1 << 20, 8 << 20].map(|len| "x".repeat(len)) {
        let (kind, message) = fails(&custody, home, &["env", &huge]).await;
        assert_eq!(kind, TooLong);
        let shown = format!("cannot run `env {}…` in ~: its ", "x".repeat(196));
        assert!(
            message.starts_with(&shown)
                && message.ends_with(" bytes of arguments and environment are too many")
        );
    }
    assert_eq!(custody.scan(), []);
}

#[tokio::test]
async fn a_missing_keep_is_told() {
    let options =
        |program: &str| CustodyOptions { keep_program: program.into(), grace: LONG, subreaper: None };
    let refused = Custody::new(options("/no/such/trunkline")).spawn(sh("")).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "cannot run /no/such/trunkline keep: No such file or directory (os error 2)"
    );
    let refused = Custody::new(options("/usr/bin/false")).spawn(sh("")).await.unwrap_err();
    let expected = "trunkline keep ended before it started the command (exit status: 1): ";
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn a_keep_typed_by_hand_says_so() {
    for args in [&["keep"][..], &["keep", "1"], &["keep", "99"], &["keep", "-1"], &["keep", "x"]] {
        #[expect(clippy::disallowed_methods, reason = "this one is not to be kept")]
        let keep = Command::new(FIXTURE).args(args).stderr(std::process::Stdio::piped()).spawn().unwrap();
        let output = keep.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.starts_with("error: `keep` needs a control socket: ") && said.contains("\nhint: "),
            "{said}"
        );
    }
}
