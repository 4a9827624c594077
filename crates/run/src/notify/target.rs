//! Services that are told of requests: a topic of ntfy, which telephones show, and any program that takes a webhook.
//!
//! What is told leaves this machine, so it is little unless its owner wishes more: who asks, what about, and where to answer.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use trunkline_core::answer_link::choices;
use trunkline_core::refused::Refused;
use trunkline_core::request::{Choice, Priority};
use trunkline_core::view::RequestView;
use trunkline_wire::model::{HttpRequest, Secret};

use super::link::Links;
use super::short;
use crate::http::Http;
use crate::hub::Hub;

/// How many notifications wait for a service. More are lost, and the log says so: the inbox has them.
const WAITING: usize = 100;
/// How long a service may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long to rest after each try that has failed. Then it is lost, and the log says so.
const RESTS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(10), Duration::from_secs(60)];
/// How many characters of a question are told.
const QUESTION: usize = 500;

/// A service.
#[derive(Debug, Clone)]
pub struct Target {
    /// What its owner calls it.
    pub name: String,
    /// What it speaks.
    pub kind: Kind,
    /// Where it is. Often it is as good as a key.
    pub url: Secret,
    /// A token to show, if it wants one.
    pub token: Option<Secret>,
    /// Whether the question is told too, and not only its title.
    pub details: bool,
    /// Whether it gets links that answer: whoever reads what it is told may then answer what is of no high risk.
    pub answer: bool,
}

/// What a service speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// ntfy: `https://ntfy.sh/TOPIC`, or a server of one's own.
    Ntfy,
    /// A POST of JSON.
    Webhook,
}

impl Target {
    /// Whether its address can be one.
    ///
    /// # Errors
    /// `Invalid`, without the address.
    pub fn check(&self) -> Result<(), Refused> {
        let url = self.url.reveal();
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let is_plain = |text: &str| !text.chars().any(|c| c.is_whitespace() || c.is_control());
        if !rest.is_some_and(|rest| !rest.is_empty() && is_plain(rest)) {
            return Err(Refused::invalid("url", "must begin with https:// or http://"));
        }
        if self.kind == Kind::Ntfy && topic(url).is_none() {
            return Err(Refused::invalid("url", "must end with the topic, as https://ntfy.sh/my-topic does"));
        }
        Ok(())
    }

    /// Tells it what it is given, one after the other, until the hub stops.
    pub(super) fn start(self, hub: &Hub, http: Http, url: &str, links: Arc<Links>) -> Teller {
        let (waiting, mut requests) = mpsc::channel::<RequestView>(WAITING);
        let (stop, name, url) = (hub.stopping(), self.name.clone(), url.to_owned());
        hub.tasks().spawn(async move {
            let tell = async {
                while let Some(request) = requests.recv().await {
                    self.send(&http, &request, &url, &links).await;
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                () = tell => {}
            }
        });
        Teller { name, waiting }
    }

    async fn send(&self, http: &Http, request: &RequestView, url: &str, links: &Links) {
        let (mut rests, answer) = (RESTS.iter(), self.answer_at(request, url, links));
        loop {
            let Err(failure) = http.post(self.request(request, url, answer.as_deref()), PATIENCE).await
            else {
                return;
            };
            let why = self.hide(&failure.message);
            match rests.next() {
                Some(rest) => {
                    tracing::info!(target = self.name, why, "a notification is tried again");
                    tokio::time::sleep(*rest).await;
                }
                None => {
                    tracing::warn!(target = self.name, why, "a notification is lost");
                    return;
                }
            }
        }
    }

    /// A text without the address, which may be a secret: what is told of a failure quotes it, without its query too.
    fn hide(&self, text: &str) -> String {
        let url = self.url.reveal();
        let without_query = url.split(['?', '#']).next().unwrap_or(url);
        text.replace(url, "its address").replace(without_query, "its address")
    }

    /// Where the request can be answered without a token, if it may be.
    fn answer_at(&self, request: &RequestView, url: &str, links: &Links) -> Option<String> {
        let address = self.answer.then(|| links.address(url, request, &self.name))?;
        address.unwrap_or_else(|error| {
            tracing::error!(target = self.name, %error, "a notification goes without a link that answers");
            None
        })
    }

    fn request(&self, request: &RequestView, url: &str, answer: Option<&str>) -> HttpRequest {
        let link = format!("{url}/r/{}", request.id);
        let question = self.details.then(|| short(&request.question, QUESTION));
        let (to, body) = match self.kind {
            Kind::Ntfy => {
                let (server, topic) = topic(self.url.reveal()).unwrap_or_default();
                (server.to_owned(), ntfy(request, topic, &link, question.as_deref(), answer))
            }
            Kind::Webhook => {
                (self.url.reveal().to_owned(), webhook(request, &link, question.as_deref(), answer))
            }
        };
        let token = self.token.iter().map(|token| Secret::new(format!("Bearer {}", token.reveal())));
        HttpRequest {
            url: to,
            headers: token.map(|token| ("authorization".to_owned(), token)).collect(),
            body: body.to_string().into_bytes(),
        }
    }
}

/// One that tells a service.
#[derive(Debug)]
pub(super) struct Teller {
    name: String,
    waiting: mpsc::Sender<RequestView>,
}

impl Teller {
    pub(super) fn tell(&self, request: &RequestView) {
        if self.waiting.try_send(request.clone()).is_err() {
            tracing::warn!(target = self.name, "a notification is lost: {WAITING} wait already");
        }
    }
}

/// The server, and the topic of it.
fn topic(url: &str) -> Option<(&str, &str)> {
    let (server, topic) = url.trim_end_matches('/').rsplit_once('/')?;
    let is_topic = !topic.is_empty() && topic.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    // Behind `https:/` there is no topic, but the server.
    (is_topic && server.len() > "https:/".len() && !server.ends_with(":/")).then_some((server, topic))
}

/// What ntfy takes as JSON: <https://docs.ntfy.sh/publish/#publish-as-json>. It shows three actions at most.
fn ntfy(
    request: &RequestView,
    topic: &str,
    link: &str,
    question: Option<&str>,
    answer: Option<&str>,
) -> Value {
    let priority = match request.priority {
        Priority::Low => 2,
        Priority::Normal => 3,
        Priority::High => 4,
        Priority::Urgent => 5,
    };
    let title = format!("{} asks", short(&request.agent, 60));
    let asked = short(&request.title, 200);
    let message = match question.filter(|question| !question.is_empty()) {
        Some(question) => format!("{asked}\n{question}"),
        None => asked,
    };
    let click = answer.unwrap_or(link);
    let mut told =
        json!({ "topic": topic, "title": title, "message": message, "priority": priority, "click": click });
    if let Some(answer) = answer {
        let action = |choice: &Choice| {
            json!({
                "action": "http", "label": short(&choice.name, 40), "url": answer, "method": "POST",
                "headers": { "content-type": "application/json" },
                "body": json!({ "option": choice.id }).to_string(), "clear": true,
            })
        };
        told["actions"] = choices(request).into_iter().take(3).map(action).collect();
    }
    told
}

fn webhook(request: &RequestView, link: &str, question: Option<&str>, answer: Option<&str>) -> Value {
    let mut about = json!({
        "id": request.id, "session": request.session, "agent": request.agent, "kind": request.kind, "title": request.title,
        "priority": request.priority, "created_at": request.created_at, "deadline": request.deadline,
    });
    if let Some(question) = question {
        about["question"] = question.into();
    }
    let mut told = json!({ "type": "request.opened", "request": about, "url": link });
    if let Some(answer) = answer {
        told["answer"] = json!({ "url": answer, "options": choices(request) });
    }
    told
}

#[cfg(test)]
mod tests {
    use super::super::tests::request;
    use super::*;

    fn target(kind: Kind, url: &str, details: bool) -> Target {
        let token = Some(Secret::new("tk"));
        Target { name: "phone".to_owned(), kind, url: Secret::new(url), token, details, answer: false }
    }

    fn sent(target: &Target) -> (String, Value) {
        let answer = target.answer.then_some("https://tl.example/a/x");
        let sent =
            target.request(&request("Write a.txt?", "It is new: ü", false), "https://tl.example", answer);
        assert_eq!(sent.headers[0].1.reveal(), "Bearer tk");
        (sent.url, serde_json::from_slice(&sent.body).unwrap())
    }

    #[test]
    fn a_topic_gets_who_asks_and_where_to_answer() {
        let (url, body) = sent(&target(Kind::Ntfy, "https://ntfy.example/sub/my-topic", false));
        assert_eq!(url, "https://ntfy.example/sub");
        assert_eq!(
            body,
            json!({
                "topic": "my-topic", "title": "bot asks", "message": "Write a.txt?", "priority": 5,
                "click": "https://tl.example/r/0190163d-8694-739b-aea5-966c26f8ad91",
            })
        );
        let (_, body) = sent(&target(Kind::Ntfy, "https://ntfy.example/my-topic", true));
        assert_eq!(body["message"], "Write a.txt?\nIt is new: ü");
    }

    #[test]
    fn a_webhook_gets_json_and_the_question_only_if_its_owner_wishes() {
        let (url, body) = sent(&target(Kind::Webhook, "https://hooks.example/T0/x", false));
        assert_eq!((&*url, &body["type"]), ("https://hooks.example/T0/x", &json!("request.opened")));
        assert_eq!(body["request"]["title"], "Write a.txt?");
        assert_eq!(body["request"].get("question"), None);
        let (_, body) = sent(&target(Kind::Webhook, "https://hooks.example/T0/x", true));
        assert_eq!(body["request"]["question"], "It is new: ü");
    }

    #[test]
    fn one_that_may_answer_gets_the_link_and_what_to_choose_from() {
        let ntfy = Target { answer: true, ..target(Kind::Ntfy, "https://ntfy.example/my-topic", false) };
        let (_, body) = sent(&ntfy);
        assert_eq!(body["click"], "https://tl.example/a/x");
        let action = json!({
            "action": "http", "label": "Allow", "url": "https://tl.example/a/x", "method": "POST", "clear": true,
            "headers": { "content-type": "application/json" }, "body": r#"{"option":"y"}"#,
        });
        assert_eq!(body["actions"], json!([action]));
        let webhook = Target { answer: true, ..target(Kind::Webhook, "https://hooks.example/x", false) };
        let (_, body) = sent(&webhook);
        assert_eq!(body["answer"]["url"], "https://tl.example/a/x");
        assert_eq!(body["answer"]["options"][0]["id"], "y");
        assert_eq!(body["url"], "https://tl.example/r/0190163d-8694-739b-aea5-966c26f8ad91");
    }

    #[test]
    fn no_failure_tells_the_address() {
        let target = target(Kind::Webhook, "https://hooks.example/T0/x?key=y", false);
        assert_eq!(
            target.hide("https://hooks.example/T0/x was not reached: no route to host"),
            "its address was not reached: no route to host"
        );
        assert_eq!(target.hide("POST https://hooks.example/T0/x?key=y"), "POST its address");
    }

    #[test]
    fn an_address_that_cannot_be_is_refused_without_being_told() {
        for (kind, url) in [
            (Kind::Webhook, "hooks.example"),
            (Kind::Webhook, "https://"),
            (Kind::Webhook, "https://a b"),
            (Kind::Ntfy, "https://ntfy.sh"),
            (Kind::Ntfy, "https://ntfy.sh/"),
            (Kind::Ntfy, "https://ntfy.sh/a?b=c"),
        ] {
            let error = target(kind, url, false).check().unwrap_err().to_string();
            assert!(!error.contains("hooks.example") && !error.contains("a?b=c"), "{error}");
        }
        for (kind, url) in [
            (Kind::Webhook, "http://127.0.0.1:1/x"),
            (Kind::Ntfy, "https://ntfy.sh/my-topic"),
            (Kind::Ntfy, "http://10.0.0.2:80/my_topic/"),
        ] {
            target(kind, url, false).check().unwrap();
        }
    }
}
