//! Requests and their replies. Requests of a kind that come together are decided together.

use serde_json::value::RawValue;
use trunkline_core::event::Fact;
use trunkline_core::kv::{self, Expect, Namespace};
use trunkline_core::principal::Caller;
use trunkline_core::raw::Raw;
use trunkline_core::registry::{self, FRESH_MS};
use trunkline_core::time::Time;
use trunkline_core::topic::Pattern;
use trunkline_run::CommandError;
use trunkline_run::topics::{Filter, Publish};
use trunkline_wire::engram::{Name, Op, Reply, Request, Ttl};

use super::{Connection, End, handoff, show, told};
use crate::subscriptions::PUT;

/// Whether two requests that follow each other are decided together.
pub(super) fn go_together(one: &Op, next: &Op) -> bool {
    match (writes(one), writes(next), reads(one), reads(next)) {
        (Some(one), Some(next), ..) | (.., Some(one), Some(next)) => one == next,
        _ => match (one, next) {
            (Op::Publish { topic: one, .. }, Op::Publish { topic: next, .. }) => one == next,
            _ => false,
        },
    }
}

/// The namespace that a request writes.
fn writes(op: &Op) -> Option<&Name> {
    match op {
        Op::Put { namespace, .. }
        | Op::Delete { namespace, .. }
        | Op::Clear { namespace }
        | Op::Restore { namespace, .. }
        | Op::Transfer { namespace, .. } => Some(namespace),
        _ => None,
    }
}

/// The namespace that a request reads.
fn reads(op: &Op) -> Option<&Name> {
    match op {
        Op::Get { namespace, .. }
        | Op::Keys { namespace, .. }
        | Op::All { namespace }
        | Op::Transfers { namespace } => Some(namespace),
        _ => None,
    }
}

impl Connection {
    pub(super) async fn answer_run(&mut self, run: Vec<Request>) -> Result<(), End> {
        let Some(first) = run.first() else { return Ok(()) };
        let (written, read) = (writes(&first.op).cloned(), reads(&first.op).cloned());
        let Some(caller) = self.caller.clone() else {
            for request in run {
                self.knock(request).await;
            }
            return Ok(());
        };
        if let Some(namespace) = written {
            return self.write(&caller, &namespace, run).await;
        }
        if let Some(namespace) = read {
            return self.read(&namespace, run).await;
        }
        if let Op::Publish { topic, .. } = &first.op {
            let topic = topic.clone();
            return self.publish(&caller, &topic, run).await;
        }
        for Request { op, id } in run {
            let reply = self.single(&caller, op, id.as_deref()).await?;
            reply.unwrap_or_else(|error| Reply::error(id.as_deref(), &error.to_string())).end(&mut self.out);
        }
        Ok(())
    }

    /// Of a client that is not known yet only these are heard.
    async fn knock(&mut self, Request { op, id }: Request) {
        let reply = match op {
            Op::Ping => Reply::ok(id.as_deref()).plain("pong", true),
            Op::Hello => hello(id.as_deref()),
            Op::Auth { token } => self.auth(&token, id.as_deref()).await,
            _ => {
                let error =
                    "it is not known who connects; show a token first: {\"op\": \"auth\", \"token\": …}";
                Reply::error(id.as_deref(), error)
            }
        };
        reply.end(&mut self.out);
    }

    async fn auth(&mut self, token: &str, id: Option<&RawValue>) -> Reply {
        if self.is_agent {
            return Reply::error(id, "an agent's process is that agent, whatever token it shows");
        }
        let source = self.caller.as_ref().and_then(|caller| caller.source.as_deref().cloned());
        match self.app.auth.caller(&self.app.hub, token, source).await {
            Ok(Some((caller, _))) => {
                let reply = Reply::ok(id).text("principal", caller.principal.as_str());
                self.caller = Some(caller);
                reply
            }
            Ok(None) => Reply::error(id, "this token opens nothing: it is wrong, was revoked, or is over"),
            Err(error) => Reply::error(id, &error.to_string()),
        }
    }

    async fn write(&mut self, caller: &Caller, namespace: &Name, run: Vec<Request>) -> Result<(), End> {
        let (mut ids, mut commands) = (Vec::with_capacity(run.len()), Vec::with_capacity(run.len()));
        let mut agents = Vec::<std::sync::Arc<str>>::new();
        for Request { op, id } in run {
            for agent in named(&op).into_iter().flatten() {
                if !agents.iter().any(|other| **other == *agent.as_str()) {
                    agents.push(agent.clone().into_kept());
                }
            }
            ids.push(id);
            commands.push(command(op));
        }
        let kinds: Vec<_> = commands.iter().map(Write::of).collect();
        let answers = match self.app.hub.kv(caller, namespace.as_str(), commands).await {
            Ok(answers) => answers,
            Err(error) => ids.iter().map(|_| Err(error.clone())).collect(),
        };
        self.see(caller, &agents).await;
        let topic = format!("{PUT}{}", namespace.in_topic());
        self.tell(&topic).await?;
        for ((id, kind), answer) in ids.iter().zip(kinds).zip(answers) {
            let reply = match answer {
                Ok(done) => kind.fill(Reply::ok(id.as_deref()), done.events.first().map(|event| &event.fact)),
                Err(error) => Reply::error(id.as_deref(), &error.to_string()),
            };
            reply.end(&mut self.out);
        }
        Ok(())
    }

    async fn read(&mut self, namespace: &Name, run: Vec<Request>) -> Result<(), End> {
        let ids: Vec<_> = run.iter().map(|request| request.id.clone()).collect();
        let look = move |state: &Namespace, now: Time| {
            let mut out = Vec::new();
            for Request { op, id } in &run {
                show::namespace(Reply::ok(id.as_deref()), op, state, now).end(&mut out);
            }
            out
        };
        match self.app.hub.look_kv(namespace.as_str(), look).await {
            Ok(out) => self.out.extend_from_slice(&out),
            Err(error) => {
                let error = error.to_string();
                ids.iter().for_each(|id| Reply::error(id.as_deref(), &error).end(&mut self.out));
            }
        }
        Ok(())
    }

    async fn publish(&mut self, caller: &Caller, topic: &Name, run: Vec<Request>) -> Result<(), End> {
        let (mut ids, mut messages, mut agents) = (Vec::new(), Vec::new(), Vec::<std::sync::Arc<str>>::new());
        let name = topic.clone().into_kept();
        for Request { op, id } in run {
            let Op::Publish { data, agent, .. } = op else { continue };
            let agent = agent.map(Name::into_kept);
            agents.extend(agent.clone().filter(|agent| !agents.contains(agent)));
            ids.push(id);
            messages.push(Publish { topic: name.clone(), data: data.into(), agent });
        }
        let receipts = self.app.hub.topics().publish_all(caller, messages).await;
        self.see(caller, &agents).await;
        self.tell(&name).await?;
        for (id, receipt) in ids.iter().zip(receipts) {
            let reply = match receipt {
                Ok(receipt) => Reply::ok(id.as_deref()).plain("count", receipt.subscribers),
                Err(error) => Reply::error(id.as_deref(), &error.to_string()),
            };
            reply.end(&mut self.out);
        }
        Ok(())
    }

    /// What the client itself has just caused comes before the reply to it.
    async fn tell(&mut self, topic: &str) -> Result<(), End> {
        for came in self.subscriptions.catch_up(&self.app.hub, topic).await? {
            told::write(&mut self.out, &came);
        }
        Ok(())
    }

    async fn single(
        &mut self,
        caller: &Caller,
        op: Op,
        id: Option<&RawValue>,
    ) -> Result<Result<Reply, CommandError>, End> {
        let hub = self.app.hub.clone();
        let ok = || Reply::ok(id);
        Ok(match op {
            Op::Ping => Ok(ok().plain("pong", true)),
            Op::Hello => Ok(hello(id)),
            Op::Auth { token } => Ok(self.auth(&token, id).await),
            Op::Subscribe { topic, wildcard } => {
                self.subscribe(topic.as_str(), wildcard).await.map(|()| ok())
            }
            Op::Unsubscribe { topic, wildcard } => {
                self.unsubscribe(topic.as_str(), wildcard).map(|was| ok().plain("unsubscribed", was))
            }
            Op::Signals { topic, agent, limit, since } => {
                let topic = topic.map(Name::into_kept);
                let agent = agent.map(Name::into_kept);
                let filter = Filter { topic, agent, ..Filter::default() };
                Ok(show::signals(ok(), hub.topics(), &filter, limit, since.as_deref()))
            }
            Op::Register { agent, metadata } => {
                let agent = agent.into_kept();
                let metadata = metadata.map(Raw::from);
                let command =
                    registry::Command::Register { agent, metadata, capabilities: Vec::new(), lease_ms: None };
                hub.registry(caller, command).await.map(|_| ok())
            }
            Op::Agents => {
                let agents =
                    hub.look_registry(|registry, _| registry.all().cloned().collect::<Vec<_>>()).await;
                agents.map(|agents| ok().list("agents", &agents, show::agent))
            }
            Op::Handoff(handoff) => {
                self.see(caller, &handoff::named(&handoff)).await;
                handoff::answer(&hub, caller, handoff, ok()).await
            }
            Op::Put { .. }
            | Op::Get { .. }
            | Op::Delete { .. }
            | Op::Keys { .. }
            | Op::All { .. }
            | Op::Clear { .. }
            | Op::Restore { .. }
            | Op::Publish { .. }
            | Op::Transfer { .. }
            | Op::Transfers { .. } => unreachable!("they go in runs"),
        })
    }

    async fn subscribe(&mut self, topic: &str, wildcard: bool) -> Result<(), CommandError> {
        if wildcard {
            self.subscriptions.subscribe_all(&self.app.hub, Pattern::new(topic)?).await
        } else {
            self.subscriptions.subscribe(&self.app.hub, topic).await
        }
    }

    fn unsubscribe(&mut self, topic: &str, wildcard: bool) -> Result<bool, CommandError> {
        Ok(if wildcard {
            self.subscriptions.unsubscribe_all(&Pattern::new(topic)?)
        } else {
            self.subscriptions.unsubscribe(topic)
        })
    }

    /// Whoever is named was there. That it cannot be kept fails nothing.
    pub(super) async fn see(&mut self, caller: &Caller, agents: &[std::sync::Arc<str>]) {
        let now = self.app.hub.now();
        for agent in agents {
            // Most connections name one agent, all the time: the registry would find nothing new in that.
            if self.seen.as_ref().is_some_and(|(last, at)| last == agent && now.ms_since(*at) < FRESH_MS) {
                continue;
            }
            match self.app.hub.see_agent(caller, agent).await {
                Ok(()) => self.seen = Some((agent.clone(), now)),
                Err(error) => tracing::debug!(%error, "that an agent was there could not be kept"),
            }
        }
    }
}

fn hello(id: Option<&RawValue>) -> Reply {
    Reply::ok(id)
        .text("server", "trunkline")
        .text("version", env!("CARGO_PKG_VERSION"))
        .json("extensions", r#"["id", "unsubscribe", "wildcard", "transfers", "auth", "hello"]"#)
}

/// The agents that a request names.
fn named(op: &Op) -> [Option<&Name>; 2] {
    match op {
        Op::Put { agent, .. } => [agent.as_ref(), None],
        Op::Transfer { from, to, .. } => [Some(from), Some(to)],
        _ => [None, None],
    }
}

fn command(op: Op) -> kv::Command {
    let key = Name::into_kept;
    match op {
        Op::Put { key: name, value, agent, ttl, .. } => kv::Command::Put {
            key: key(name),
            value: value.into(),
            owner: agent.map(key),
            ttl: match ttl {
                Ttl::Forever => kv::Ttl::Forever,
                Ttl::Ms(ms) => kv::Ttl::Ms(ms),
            },
            expect: Expect::Any,
        },
        Op::Delete { key: name, .. } => kv::Command::Delete(key(name), Expect::Any),
        Op::Restore { data, .. } => kv::Command::Restore(
            data.into_iter().map(|(name, value)| (key(name), Raw::from(value))).collect(),
        ),
        Op::Transfer { from, to, keys, .. } => kv::Command::Transfer {
            from: key(from),
            to: key(to),
            keys: keys.map(|keys| keys.into_iter().map(key).collect()),
        },
        Op::Clear { .. } => kv::Command::Clear,
        _ => unreachable!("only writes are commands"),
    }
}

/// What a write is, for its reply.
#[derive(Debug, Clone, Copy)]
enum Write {
    Put,
    Delete,
    Clear,
    Restore(usize),
    Transfer,
}

impl Write {
    const fn of(command: &kv::Command) -> Self {
        match command {
            kv::Command::Put { .. } | kv::Command::Tick => Self::Put,
            kv::Command::Delete(..) => Self::Delete,
            kv::Command::Clear => Self::Clear,
            kv::Command::Restore(values) => Self::Restore(values.len()),
            kv::Command::Transfer { .. } => Self::Transfer,
        }
    }

    /// Fills the reply, by the fact that followed if one did.
    fn fill(self, reply: Reply, fact: Option<&Fact>) -> Reply {
        match (self, fact) {
            (Self::Put, _) => reply,
            (Self::Delete, fact) => reply.plain("deleted", fact.is_some()),
            (Self::Clear, Some(Fact::KeysCleared(cleared))) => reply.plain("count", cleared.count),
            (Self::Clear, _) => reply.plain("count", 0),
            (Self::Restore(count), _) => reply.plain("count", count),
            (Self::Transfer, fact) => {
                let keys = match fact {
                    Some(Fact::KeysTransferred(done)) => &done.keys[..],
                    _ => &[],
                };
                let reply = reply.plain("transferred", keys.len());
                reply.list("keys", keys, |out, key| Name::kept(key).write(out))
            }
        }
    }
}
