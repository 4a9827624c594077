//! Rules, one by one.

use crate::router::{Action, ClientId, Config, Ended, Peer, Router, WorkerId, code};

/// A router whose world is this test.
struct World {
    router: Router,
    workers: Vec<WorkerId>,
    now: u64,
}

impl World {
    fn new(config: &str) -> Self {
        let mut router = Router::new(Config::parse(config.as_bytes()).unwrap());
        let workers = router.workers().collect();
        while router.next_action().is_some() {}
        Self { router, workers, now: 0 }
    }

    fn pool(instances: usize) -> Self {
        Self::new(&format!(r#"{{"pools":[{{"id":"p","command":"c","instances":{instances}}}]}}"#))
    }

    fn with(keys: &str) -> Self {
        Self::new(&format!(r#"{{"pools":[{{"id":"p","command":"c","instances":1}}],{keys}}}"#))
    }

    fn client(&mut self) -> ClientId {
        self.router.connect(false, self.now).unwrap()
    }

    fn send(&mut self, client: ClientId, line: &str) {
        self.router.client_bytes(client, format!("{line}\n").as_bytes(), self.now);
    }

    fn say(&mut self, worker: usize, line: &str) {
        self.router.worker_bytes(self.workers[worker], format!("{line}\n").as_bytes(), self.now);
    }

    fn take(&mut self, peer: Peer) -> String {
        let text = String::from_utf8(self.router.output(peer).to_vec()).unwrap();
        self.router.written(peer, text.len(), self.now);
        text.trim_end().to_owned()
    }

    fn got(&mut self, client: ClientId) -> String {
        self.take(Peer::Client(client))
    }

    fn heard(&mut self, worker: usize) -> String {
        self.take(Peer::Worker(self.workers[worker]))
    }

    fn actions(&mut self) -> Vec<Action> {
        std::iter::from_fn(|| self.router.next_action())
            .filter(|action| !matches!(action, Action::Say(_)))
            .collect()
    }

    fn end(&mut self, worker: usize) {
        self.router.worker_ended(self.workers[worker], &Ended::Exit("exit 1".to_owned()), self.now);
    }
}

fn error(id: &str, code: i32) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":{code},\"message\":\"")
}

#[test]
fn lines_are_forwarded_byte_for_byte() {
    let mut world = World::pool(1);
    let client = world.client();
    let line = "  {\"id\" : 1e0,\"b\":1,\"b\":2, \"method\":\"m\\u0041\"} tail";
    world.send(client, &format!("{line}\r"));
    assert_eq!(world.heard(0), line.trim_end());
    world.say(0, "{ \"result\":{} , \"id\":1e0 }");
    assert_eq!(world.got(client), "{ \"result\":{} , \"id\":1e0 }");
}

#[test]
fn answers_reach_who_asked_though_ids_are_the_same_and_answers_out_of_order() {
    let mut world = World::pool(1);
    let (a, b) = (world.client(), world.client());
    world.send(a, r#"{"id":5,"method":"a"}"#);
    world.send(b, r#"{"id":5,"method":"b"}"#);
    world.send(b, r#"{"id":"5","method":"c"}"#);
    let heard = world.heard(0);
    let lines: Vec<&str> = heard.lines().collect();
    assert_eq!(lines[0], r#"{"id":5,"method":"a"}"#, "the first keeps its bytes");
    assert_eq!(lines[2], r#"{"id":"5","method":"c"}"#, "a string is not a number");
    let renamed = lines[1].strip_prefix("{\"id\":").unwrap().strip_suffix(",\"method\":\"b\"}").unwrap();
    world.say(0, r#"{"id":"5","result":"c"}"#);
    world.say(0, &format!("{{\"id\":{renamed},\"result\":\"b\"}}"));
    world.say(0, r#"{"id":5,"result":"a"}"#);
    world.say(0, r#"{"id":5,"result":"again"}"#);
    assert_eq!(world.got(a), r#"{"id":5,"result":"a"}"#);
    assert_eq!(world.got(b), "{\"id\":\"5\",\"result\":\"c\"}\n{\"id\":5,\"result\":\"b\"}");
}

#[test]
fn a_late_answer_for_one_that_has_gone_reaches_nobody() {
    let mut world = World::pool(1);
    let gone = world.client();
    world.send(gone, r#"{"id":1,"method":"a"}"#);
    world.router.disconnect(gone);
    let next = world.client();
    world.send(next, r#"{"id":1,"method":"b"}"#);
    world.say(0, r#"{"id":1,"result":"for the first"}"#);
    assert_eq!(world.got(next), "");
}

#[test]
fn sessions_are_pinned_and_notify_their_owner() {
    let mut world = World::pool(4);
    let (a, b) = (world.client(), world.client());
    for n in 0..8 {
        world.send(a, &format!("{{\"id\":{n},\"method\":\"m\",\"sessionId\":\"s\"}}"));
    }
    assert_eq!(world.heard(0).lines().count(), 8);
    world.send(b, r#"{"method":"m","sessionId":"s"}"#);
    assert_eq!(world.heard(0).lines().count(), 1, "another client may use it");
    world.say(2, r#"{"method":"n","sessionId":"s"}"#);
    assert_eq!((world.got(a).as_str(), world.got(b).as_str()), (r#"{"method":"n","sessionId":"s"}"#, ""));
    world.router.disconnect(a);
    world.say(0, r#"{"method":"n","sessionId":"s"}"#);
    assert_eq!(world.got(b), "", "the session went with its owner");
}

#[test]
fn work_without_a_session_is_spread() {
    let mut world = World::pool(3);
    let client = world.client();
    for n in 0..6 {
        world.send(client, &format!("{{\"id\":{n},\"method\":\"m\"}}"));
    }
    for worker in 0..3 {
        assert_eq!(world.heard(worker).lines().count(), 2);
    }
    world.say(1, r#"{"id":1,"result":0}"#);
    world.say(1, r#"{"id":4,"result":0}"#);
    world.send(client, r#"{"id":9,"method":"m"}"#);
    assert_ne!(world.heard(1), "", "the idle one is asked");
}

#[test]
fn questions_of_workers_come_back_to_them_without_a_session() {
    let mut world = World::pool(2);
    let client = world.client();
    world.send(client, r#"{"id":"x","method":"m","sessionId":"s0"}"#);
    world.send(client, r#"{"id":"y","method":"m","sessionId":"s1"}"#);
    world.heard(0);
    world.heard(1);
    world.say(0, r#"{"id":1,"method":"ask","sessionId":"s0"}"#);
    world.say(1, r#"{"id":1,"method":"ask","sessionId":"s1"}"#);
    let got = world.got(client);
    let second = got.lines().nth(1).unwrap();
    let renamed = second.strip_prefix("{\"id\":").unwrap().split_once(',').unwrap().0;
    world.send(client, &format!("{{\"id\":{renamed},\"result\":2}}"));
    world.send(client, r#"{"id":1,"result":1}"#);
    assert_eq!(world.heard(0), r#"{"id":1,"result":1}"#);
    assert_eq!(world.heard(1), r#"{"id":1,"result":2}"#);
    world.send(client, r#"{"id":77,"result":1,"sessionId":"s1"}"#);
    assert_eq!(
        world.heard(1),
        r#"{"id":77,"result":1,"sessionId":"s1"}"#,
        "by its session, if the id is not known"
    );
    world.say(0, r#"{"id":3,"method":"ask","sessionId":"s0"}"#);
    world.router.disconnect(client);
    assert!(world.heard(0).starts_with(&error("3", code::UNAVAILABLE)));
    world.say(0, r#"{"id":4,"method":"ask","sessionId":"s0"}"#);
    assert!(world.heard(0).starts_with(&error("4", code::UNAVAILABLE)));
}

#[test]
fn what_cannot_be_read_is_answered_and_hurts_nobody() {
    let mut world = World::with(r#""limits":{"max_input_buffer":50}"#);
    let client = world.client();
    for bad in ["[]", "{", "  ", "{\"id\":1"] {
        world.send(client, bad);
        let parse_error = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}"#;
        assert_eq!(world.got(client), parse_error);
    }
    let long = "x".repeat(60);
    world.send(client, &format!("{{\"id\":7,\"a\":\"{long}\"}}"));
    let too_large = |id: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{{\"code\":-32600,\"message\":\"Message too large\"}}}}"
        )
    };
    assert_eq!(world.got(client), too_large("7"));
    world.send(client, &format!("{{\"a\":\"{long}\",\"id\":\"end\"}}"));
    assert_eq!(world.got(client), too_large("\"end\""));
    world.send(client, &format!("{{\"a\":\"{long}\"}}"));
    assert_eq!(world.got(client), too_large("null"));
    world.send(client, r#"{"id":1,"method":"m"}"#);
    assert_eq!(world.heard(0), r#"{"id":1,"method":"m"}"#);
}

#[test]
fn a_worker_that_ends_is_restarted_and_its_requesters_are_told() {
    let mut world = World::pool(1);
    let client = world.client();
    world.send(client, r#"{"id":1,"method":"m","sessionId":"s"}"#);
    world.end(0);
    assert!(world.got(client).starts_with(&error("1", code::TRANSPORT_ERROR)));
    assert_eq!(world.actions(), [Action::Start(world.workers[0])], "the first restart is immediate");
    assert_eq!(world.heard(0), "", "what it had not read is not sent again");
    world.end(0);
    assert_eq!(world.actions(), []);
    world.send(client, r#"{"id":2,"method":"m"}"#);
    assert!(world.got(client).starts_with(&error("2", code::UNAVAILABLE)));
    world.now = world.router.next_tick().unwrap();
    world.router.tick(world.now);
    assert_eq!(world.actions(), [Action::Start(world.workers[0])]);
    world.send(client, r#"{"id":3,"method":"m"}"#);
    assert_eq!(world.heard(0), r#"{"id":3,"method":"m"}"#);
}

#[test]
fn garbage_and_long_lines_of_a_worker_are_survived() {
    let mut world = World::with(r#""limits":{"max_input_buffer":60}"#);
    let client = world.client();
    for n in 1..=4 {
        world.send(client, &format!("{{\"id\":{n},\"method\":\"m\"}}"));
    }
    let long = "x".repeat(100);
    world.say(0, "starting up ...");
    world.say(0, &format!("{{\"id\":1,\"result\":\"{long}\"}}"));
    assert!(world.got(client).starts_with(&error("1", code::TRANSPORT_ERROR)));
    world.say(0, &format!("{{\"result\":\"{long}\",\"id\":2}}"));
    assert!(world.got(client).starts_with(&error("2", code::TRANSPORT_ERROR)));
    world.say(0, &format!("{{\"result\":\"{long}\",\"id\":3,\"more\":{{}}}}"));
    assert_eq!(world.got(client).lines().count(), 2, "it was for one of the two that wait");
    world.say(0, r#"{"id":3,"result":0}"#);
    assert_eq!(world.got(client), "", "they have had their one answer");
    world.send(client, r#"{"id":5,"method":"m"}"#);
    world.say(0, r#"{"id":5,"result":0}"#);
    assert_eq!(world.got(client), r#"{"id":5,"result":0}"#);
}

#[test]
fn a_full_queue_is_an_error_and_never_silence() {
    let text = r#"{"pools":[{"id":"p","command":"c","instances":1,"max_worker_queue":100,"max_pending":2}]}"#;
    let mut world = World::new(text);
    let client = world.client();
    let long = "x".repeat(200);
    world.send(client, &format!("{{\"id\":1,\"method\":\"{long}\"}}"));
    assert_eq!(world.got(client), "", "an empty queue takes any line");
    world.send(client, r#"{"id":2,"method":"m"}"#);
    assert!(world.got(client).starts_with(&error("2", code::RESOURCE_EXHAUSTED)));
    world.send(client, r#"{"method":"m"}"#);
    assert!(world.got(client).starts_with(&error("null", code::RESOURCE_EXHAUSTED)));
    world.heard(0);
    world.send(client, r#"{"id":2,"method":"m"}"#);
    world.send(client, r#"{"id":3,"method":"m"}"#);
    assert!(world.got(client).starts_with(&error("3", code::RESOURCE_EXHAUSTED)));
}

#[test]
fn a_worker_waits_for_its_only_client_and_not_for_one_of_two() {
    let mut world = World::with(r#""limits":{"max_output_queue":1000,"backpressure_timeout_sec":5}"#);
    let (slow, worker) = (world.client(), world.workers[0]);
    world.send(slow, r#"{"id":1,"method":"m","sessionId":"s"}"#);
    let note = format!("{{\"method\":\"{}\",\"sessionId\":\"s\"}}", "n".repeat(600));
    world.say(0, &note);
    assert_eq!(world.actions(), []);
    world.say(0, &note);
    assert_eq!(world.actions(), [Action::Pause(worker)]);
    assert_eq!(world.got(slow).lines().count(), 2);
    assert_eq!(world.actions(), [Action::Resume(worker)]);
    world.say(0, &note);
    world.say(0, &note);
    assert_eq!(world.actions(), [Action::Pause(worker)]);
    let other = world.client();
    world.send(other, r#"{"id":1,"method":"m"}"#);
    assert_eq!(world.actions(), [Action::Resume(worker)], "another needs it");
    world.say(0, &note);
    assert_eq!(world.actions(), []);
    world.now += 5000;
    world.router.tick(world.now);
    assert_eq!(world.actions(), [Action::Close(slow)]);
}

#[test]
fn requests_time_out_where_the_pool_says_so() {
    let text = r#"{"pools":[{"id":"p","command":"c","instances":1,"request_timeout_ms":100}]}"#;
    let mut world = World::new(text);
    let client = world.client();
    world.send(client, r#"{"id":1,"method":"m"}"#);
    world.now = 60;
    world.send(client, r#"{"id":2,"method":"m"}"#);
    world.now = world.router.next_tick().unwrap();
    assert_eq!(world.now, 100);
    world.router.tick(world.now);
    assert!(world.got(client).starts_with(&error("1", code::TIMEOUT)));
    world.say(0, r#"{"id":1,"result":"late"}"#);
    world.say(0, r#"{"id":2,"result":"in time"}"#);
    assert_eq!(world.got(client), r#"{"id":2,"result":"in time"}"#);
}

#[test]
fn health_is_asked_for_and_the_silent_are_replaced() {
    let text = r#"{"pools":[{"id":"p","command":"c","instances":1,
        "health":{"method":"ping","interval_ms":1000,"timeout_ms":100}}]}"#;
    let mut world = World::new(text);
    world.router.tick(0);
    let ping = r#"{"jsonrpc":"2.0","id":"stdio_bus:health","method":"ping","params":{}}"#;
    assert_eq!(world.heard(0), ping);
    world.say(0, r#"{"id":"stdio_bus:health","error":{"code":-32601,"message":"no such method"}}"#);
    world.now = 999;
    world.router.tick(world.now);
    assert_eq!((world.heard(0).as_str(), world.router.next_tick()), ("", Some(1000)));
    world.now = 1000;
    world.router.tick(world.now);
    assert_eq!(world.heard(0), ping);
    world.now = 1100;
    world.router.tick(world.now);
    assert_eq!(world.actions(), [Action::Stop(world.workers[0]), Action::Start(world.workers[0])]);
}

#[test]
fn pools_are_chosen_by_name_agent_and_capability() {
    let text = r#"{"pools":[{"id":"a","command":"c","instances":1},
        {"id":"b","command":"c","instances":1,"agents":["coder"],"capabilities":["search"]}]KEYS}"#;
    let mut world = World::new(&text.replace("KEYS", ""));
    let client = world.client();
    world.send(client, r#"{"id":1,"pool":"b","agentId":"nobody"}"#);
    world.send(client, r#"{"id":2,"agentId":"coder"}"#);
    world.send(client, r#"{"id":3,"capability":"search"}"#);
    assert_eq!(world.heard(1).lines().count(), 3);
    for message in [r#"{"id":4}"#, r#"{"id":4,"pool":"c"}"#, r#"{"id":4,"pool":""}"#] {
        world.send(client, message);
        assert!(world.got(client).starts_with(&error("4", code::INVALID_ARGUMENT)));
    }
    let mut world = World::new(&text.replace("KEYS", r#","default_pool":"a""#));
    let client = world.client();
    world.send(client, r#"{"id":4,"agentId":"other"}"#);
    assert_ne!(world.heard(0), "");
}

#[test]
fn agents_that_know_only_inner_sessions_are_heard_where_it_is_asked_for() {
    let mut world = World::with(r#""route_params_session":true"#);
    let client = world.client();
    world.send(client, r#"{"id":1,"method":"session/new","params":{}}"#);
    world.say(0, r#"{"id":1,"result":{"sessionId":"agent-1"}}"#);
    world.got(client);
    let update = r#"{"method":"session/update","params":{"sessionId":"agent-1","update":{}}}"#;
    world.say(0, update);
    assert_eq!(world.got(client), update);
    let mut world = World::with("\"x\":1");
    let client = world.client();
    world.send(client, r#"{"id":1,"method":"m","params":{"sessionId":"agent-1"}}"#);
    world.say(0, update);
    assert_eq!(world.got(client), "", "by default only the top level counts");
}

#[test]
fn notifications_are_tagged_where_it_is_asked_for() {
    let mut world = World::with(r#""tag_streams":true"#);
    let client = world.client();
    for (id, session) in [("1", "a"), ("\"two\"", "b"), ("3", "b")] {
        world.send(client, &format!("{{\"id\":{id},\"method\":\"m\",\"sessionId\":\"{session}\"}}"));
    }
    world.say(0, r#"{"method":"n","sessionId":"a"}"#);
    assert_eq!(world.got(client), r#"{"requestId":1,"method":"n","sessionId":"a"}"#);
    world.say(0, r#"{"method":"n","sessionId":"b"}"#);
    assert_eq!(world.got(client), r#"{"method":"n","sessionId":"b"}"#, "two wait, so none is named");
    world.say(0, r#"{"id":3,"result":0}"#);
    world.got(client);
    world.say(0, r#"{"method":"n","sessionId":"b"}"#);
    assert_eq!(world.got(client), r#"{"requestId":"two","method":"n","sessionId":"b"}"#);
}

#[test]
fn policy_denies_and_the_record_tells() {
    let text = r#"{"record":"r","pools":[{"id":"p","command":"c","instances":1,
        "policy":{"default":"deny","rules":[{"role":"user","allow":["ask"]}]}}]}"#;
    let mut world = World::new(text);
    let client = world.client();
    world.send(client, r#"{"id":1,"method":"ask"}"#);
    assert!(world.got(client).starts_with(&error("1", code::POLICY_DENIED)));
    let line = r#"{"id":2,"method":"ask","_ext":{"identity":{"role":"user","subjectId":"u"},"audit":{"eventId":"e"}}}"#;
    world.send(client, line);
    assert_eq!(world.heard(0), line);
    let records: Vec<bool> = world
        .actions()
        .iter()
        .map(|action| match action {
            Action::Record(record) => record.allowed,
            other => panic!("unexpected: {other:?}"),
        })
        .collect();
    assert_eq!(records, [false, true]);
}

#[test]
fn the_router_answers_for_itself_where_it_is_asked_to() {
    let mut world = World::with(r#""answer_hello":true,"status":true"#);
    let client = world.client();
    world.send(
        client,
        r#"{"id":1,"method":"stdio_bus/hello","sessionId":"s","params":{"extensions":{"status":{"version":"2","required":true}}}}"#,
    );
    let got = world.got(client);
    assert!(got.contains(r#""sessionId":"s""#) && got.contains(r#""active":true"#), "{got}");
    world.send(
        client,
        r#"{"id":2,"method":"stdio_bus/hello","params":{"extensions":{"x":{"required":true}}}}"#,
    );
    assert!(world.got(client).starts_with(&error("2", code::NEGOTIATION_FAILED)));
    world.send(client, r#"{"id":3,"method":"stdio_bus/status"}"#);
    assert!(world.got(client).contains(r#""state":"up""#));
    world.send(client, r#"{"id":4,"method":"stdio_bus/metrics"}"#);
    assert!(world.got(client).contains("stdio_bus_worker_up"));
    let mut world = World::pool(1);
    let client = world.client();
    world.send(client, r#"{"id":1,"method":"stdio_bus/hello"}"#);
    assert_eq!(world.heard(0), r#"{"id":1,"method":"stdio_bus/hello"}"#, "by default it is the worker's");
}

#[test]
fn a_client_that_sends_no_more_gets_its_answers_first() {
    let mut world = World::pool(1);
    let client = world.client();
    world.send(client, r#"{"id":1,"method":"m"}"#);
    world.router.client_finished(client);
    assert_eq!(world.actions(), []);
    world.say(0, r#"{"id":1,"result":0}"#);
    assert_eq!(world.actions(), [], "the answer is not written yet");
    assert_eq!(world.got(client), r#"{"id":1,"result":0}"#);
    assert_eq!(world.actions(), [Action::Close(client)]);
}

#[test]
fn a_client_that_comes_back_gets_its_session_back() {
    let mut world = World::pool(1);
    let lost = world.client();
    world.send(lost, r#"{"id":1,"method":"m","sessionId":"s"}"#);
    world.router.client_finished(lost);
    let back = world.client();
    world.send(back, r#"{"id":1,"method":"m","sessionId":"s"}"#);
    world.say(0, r#"{"method":"n","sessionId":"s"}"#);
    assert_eq!(world.got(back), r#"{"method":"n","sessionId":"s"}"#);
}

#[test]
fn a_draining_router_takes_no_more_but_answers() {
    let mut world = World::pool(1);
    let client = world.client();
    world.send(client, r#"{"id":1,"method":"m"}"#);
    world.router.drain();
    world.send(client, r#"{"id":2,"method":"m"}"#);
    assert!(world.got(client).starts_with(&error("2", code::UNAVAILABLE)));
    world.heard(0);
    assert!(!world.router.is_quiet());
    world.say(0, r#"{"id":1,"result":0}"#);
    assert!(world.router.is_quiet() && !world.router.is_flushed());
    world.got(client);
    world.end(0);
    assert_eq!(world.actions(), []);
    assert!(world.router.is_flushed());
}

const TWO: &str =
    r#"{"pools":[{"id":"p","command":"c","instances":2},{"id":"q","command":"c","instances":1}]}"#;

#[test]
fn a_pool_is_restarted_by_name_and_the_others_go_on() {
    let mut world = World::new(TWO);
    let client = world.client();
    world.send(client, r#"{"id":1,"method":"m","pool":"p","sessionId":"s"}"#);
    world.send(client, r#"{"id":2,"method":"m","pool":"q"}"#);
    assert!(world.router.restart_pool("p", 0) && !world.router.restart_pool("x", 0));
    let [a, b] = [world.workers[0], world.workers[1]];
    let replaced = [Action::Stop(a), Action::Start(a), Action::Stop(b), Action::Start(b)];
    assert_eq!(world.actions(), replaced);
    assert!(world.got(client).starts_with(&error("1", code::TRANSPORT_ERROR)));
    world.say(2, r#"{"id":2,"result":{}}"#);
    assert_eq!(world.got(client), r#"{"id":2,"result":{}}"#);
    let seen = world.router.worker_status(a, 0);
    assert_eq!((seen.state, seen.restarts, seen.sessions, seen.pending), ("up", 1, 0, 0));
}

#[test]
fn a_restart_by_name_closes_the_circuit() {
    let keys = r#""limits":{"max_restarts":1}"#;
    let mut world = World::with(keys);
    world.end(0);
    world.end(0);
    world.actions();
    assert_eq!(world.router.worker_status(world.workers[0], 0).state, "open");
    world.router.restart_pool("p", 0);
    assert_eq!(world.actions(), [Action::Start(world.workers[0])]);
    world.end(0);
    assert_eq!(world.actions(), [Action::Start(world.workers[0])], "what was before is forgotten");
}

#[test]
fn a_drained_pool_answers_what_was_asked_and_takes_no_more() {
    let mut world = World::new(TWO);
    let client = world.client();
    world.send(client, r#"{"id":1,"method":"m","pool":"p","sessionId":"s"}"#);
    world.heard(0);
    assert!(world.router.drain_pool("p") && world.router.is_drained("p") && !world.router.is_drained("q"));
    world.send(client, r#"{"id":2,"method":"m","pool":"p","sessionId":"s"}"#);
    assert!(world.got(client).starts_with(&error("2", code::UNAVAILABLE)));
    world.send(client, r#"{"method":"cancel","pool":"p","sessionId":"s"}"#);
    assert!(world.heard(0).contains("cancel"), "what is under way can be cancelled");
    world.send(client, r#"{"method":"n","pool":"p"}"#);
    assert!(world.got(client).starts_with(&error("null", code::UNAVAILABLE)));
    world.say(0, r#"{"id":1,"result":{}}"#);
    assert_eq!(world.got(client), r#"{"id":1,"result":{}}"#);
    world.send(client, r#"{"id":3,"method":"m","pool":"q"}"#);
    assert!(world.heard(2).contains("\"id\":3"));
    world.end(0);
    world.router.tick(60_000);
    assert_eq!(world.actions(), [], "what ends in a drained pool stays down");
    assert_eq!(world.router.worker_status(world.workers[0], 0).state, "gone");
    assert!(world.router.resume_pool("p", 60_000));
    assert_eq!(world.actions(), [Action::Start(world.workers[0])], "the other one runs");
    world.send(client, r#"{"id":4,"method":"m","pool":"p"}"#);
    assert!(world.heard(0).contains("\"id\":4") || world.heard(1).contains("\"id\":4"));
}

#[test]
fn a_drained_pool_can_be_restarted_and_stays_drained() {
    let mut world = World::pool(1);
    let client = world.client();
    world.router.drain_pool("p");
    world.router.restart_pool("p", 0);
    let worker = world.workers[0];
    assert_eq!(world.actions(), [Action::Stop(worker), Action::Start(worker)]);
    world.send(client, r#"{"id":1,"method":"m"}"#);
    assert!(world.got(client).starts_with(&error("1", code::UNAVAILABLE)));
}
