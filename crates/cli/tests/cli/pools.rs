//! A pool of workers, from the configuration to the last process.

use std::fs;

use rustix::process::{Pid, test_kill_process};

use crate::home::{Home, patiently};

/// A worker in the shell's own words, because no program is on its `PATH`: it says which process it is.
const WORKER: &str = r#"
while IFS= read -r line; do
  case $line in *'"method":"session/prompt"'*) ;; *) continue ;; esac
  id=${line#*'"id":"'}; id=${id%%'"'*}
  session=${line#*'"sessionId":"'}; session=${session%%'"'*}
  printf '{"method":"session/update","sessionId":"%s","params":{"update":{"sessionUpdate":' "$session"
  printf '"agent_message_chunk","content":{"type":"text","text":"worker %s"}}}}\n' "$$"
  printf '{"id":"%s","result":{"stopReason":"end_turn"}}\n' "$id"
done
"#;

#[test]
fn a_pool_is_run_like_an_agent_and_steered_by_its_name() {
    let home = Home::new();
    fs::write(home.work().join("worker.sh"), WORKER).unwrap();
    let script = home.work().join("worker.sh").display().to_string();
    let config = format!("[pools.crew]\ncommand = \"/bin/sh\"\nargs = [\"{script}\"]\ninstances = 2\n");
    fs::write(home.path().join("config.toml"), config).unwrap();
    home.prints(&["serve", "--detach"]);
    let catalog = home.json(&["catalog"]);
    let entry = catalog["items"].as_array().unwrap().iter().find(|entry| entry["name"] == "crew").unwrap();
    assert_eq!((entry["driver"].as_str(), entry["found"].as_bool()), (Some("worker"), Some(true)));
    let pids = || -> Vec<u64> {
        let pools = home.json(&["pools"]);
        let workers = pools["items"][0]["workers"].as_array().unwrap().clone();
        workers.iter().filter_map(|worker| worker["pid"].as_u64()).collect()
    };
    let both = || patiently("both workers", || Some(pids()).filter(|pids| pids.len() == 2));
    let said = home.prints(&["run", "crew", "hello"]);
    let before = both();
    assert!(before.iter().any(|pid| said.trim() == format!("worker {pid}")), "{said} {before:?}");
    let table = home.prints(&["pools"]);
    assert!(table.starts_with("POOL") && table.matches("crew").count() == 2, "{table}");
    assert_eq!(home.run(&["pools", "restart", "crew"]).err, "crew is restarted\n");
    let again = home.prints(&["prompt", "--wait", "once more"]);
    let after = both();
    assert!(after.iter().any(|pid| again.trim() == format!("worker {pid}")), "{again} {after:?}");
    assert!(after.iter().all(|pid| !before.contains(pid)), "{before:?} {after:?}");
    assert_eq!(home.json(&["pools", "drain", "crew"])["drained"], true);
    let refused = home.run(&["run", "crew", "hello"]);
    assert!(refused.code != 0 && refused.err.contains("drained"), "{}", refused.err);
    home.prints(&["pools", "resume", "crew"]);
    assert!(home.prints(&["run", "crew", "hello"]).starts_with("worker "));
    assert_eq!(home.run(&["pools", "drain", "nobody"]).code, 3);
    home.prints(&["stop"]);
    for pid in after {
        let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
        assert!(test_kill_process(pid).is_err(), "{pid:?} is gone with the daemon");
    }
}
