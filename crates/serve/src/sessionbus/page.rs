//! The pages as HTML. Whatever comes from a client is escaped where it is put in.

use std::fmt::Write;

use super::json::Json;
use super::show::{Request, SessionSummary};
use crate::html::escaped as e;

/// The page with everything.
pub(crate) fn home(all: &[SessionSummary], waiting: &[Request]) -> String {
    let body = format!(
        r#"<header class="bar"><h1>Requests</h1>
<p><button type="button" data-enable-notifications>Notify me</button> <span data-notification-state></span></p></header>
<main>
<section data-refresh-url="/partials/requests" aria-label="Requests" aria-live="polite">{}</section>
<h2>Sessions</h2>
<section data-refresh-url="/partials/sessions" aria-label="Sessions">{}</section>
</main>"#,
        requests(waiting),
        sessions(all)
    );
    whole("Requests", &body)
}

fn whole(title: &str, body: &str) -> String {
    format!(
        r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{} · Trunkline</title>
<link rel="stylesheet" href="/static/app.css">
<link rel="icon" href="data:,">
<script src="/static/app.js" defer></script>
</head>
<body>
{body}
</body>
</html>
"#,
        e(title)
    )
}

/// The table of sessions.
pub(crate) fn sessions(all: &[SessionSummary]) -> String {
    if all.is_empty() {
        return "<p class=\"empty\">No sessions registered yet.</p>\n".to_owned();
    }
    let mut out = String::from(
        "<div class=\"wide\"><table class=\"sessions\">\n<thead><tr><th>Name</th><th>Session ID</th><th>State</th>\
         <th>Last Seen</th><th>Pending</th></tr></thead>\n<tbody>\n",
    );
    for session in all {
        let ack =
            if session.response_acknowledged { " <span class=\"state state-ack\">ACK</span>" } else { "" };
        let state = session.state;
        let seen = session.last_seen_at.replace('T', " ");
        writeln!(
            out,
            "<tr data-session-id=\"{id}\"><td>{name}</td><td><code>{id}</code></td>\
             <td><span class=\"state state-{lower}\">{state}</span>{ack}</td><td>{seen}</td><td>{pending}</td></tr>",
            id = e(&session.session_id),
            name = e(&session.display_name),
            lower = state.to_ascii_lowercase(),
            seen = &seen[..seen.len().min(19)],
            pending = session.pending_request_count,
        )
        .expect("a string takes everything");
    }
    out.push_str("</tbody>\n</table></div>\n");
    out
}

/// The requests that wait, each with a form.
pub(crate) fn requests(waiting: &[Request]) -> String {
    if waiting.is_empty() {
        return "<p class=\"empty\">No pending requests.</p>\n".to_owned();
    }
    let items: String = waiting.iter().map(item).collect();
    format!("<ul class=\"request-list\">\n{items}</ul>\n")
}

fn item(request: &Request) -> String {
    let id = request.request_id;
    format!(
        r#"<li class="request-item" data-request-id="{id}">
<div class="request-head"><a class="title" href="/requests/{id}">{title}</a> {priority}{tags}</div>
<p class="from">Session <code>{session}</code></p>
<p class="question">{question}</p>
{context}<form class="inline-response-form" data-request-id="{id}" action="/requests/{id}/respond" method="post">
<label>Answer <textarea name="response_text" rows="3" required></textarea></label>
<input type="hidden" name="responder" value="human">
<p class="actions"><button type="submit">Send</button>
<button type="submit" class="inline-dismiss-button" data-request-id="{id}" formaction="/requests/{id}/dismiss" formnovalidate>Dismiss</button>
<span class="inline-response-status" role="status"></span></p>
</form>
</li>
"#,
        title = e(&request.title),
        priority = priority(request),
        tags = tags(request),
        session = e(&request.session_id),
        question = e(&request.question),
        context = context(request),
    )
}

fn priority(request: &Request) -> String {
    let word = request.priority;
    format!("<span class=\"priority priority-{}\">{word}</span>", word.to_ascii_lowercase())
}

fn tags(request: &Request) -> String {
    let tags = request.tags.iter().flatten().filter(|tag| !tag.is_empty());
    tags.map(|tag| format!(" <span class=\"tag\">{}</span>", e(tag))).collect()
}

fn context(request: &Request) -> String {
    let Some(raw) = &request.context_json else { return String::new() };
    let pretty = Json::parse(raw.get()).map(|value| pretty(&value, 0)).unwrap_or_default();
    // What HTML could take for its own is written as an escape of JSON, so the text stays JSON when it is copied.
    format!("<details class=\"request-context\"><summary>Context</summary><pre>{pretty}</pre></details>\n")
}

/// JSON for people: sorted, indented, and of plain ASCII that means nothing in HTML.
fn pretty(value: &Json, depth: usize) -> String {
    let indent = "  ".repeat(depth + 1);
    let end = "  ".repeat(depth);
    match value {
        Json::List(items) if !items.is_empty() => {
            let items: Vec<_> =
                items.iter().map(|item| format!("{indent}{}", pretty(item, depth + 1))).collect();
            format!("[\n{}\n{end}]", items.join(",\n"))
        }
        Json::Object(members) if !members.is_empty() => {
            let mut members: Vec<_> = members.iter().collect();
            members.sort_by(|(a, _), (b, _)| a.cmp(b));
            let show = |(key, value): &(String, Json)| {
                format!("{indent}{}: {}", ascii(&Json::text(key.as_str())), pretty(value, depth + 1))
            };
            let members: Vec<_> = members.into_iter().map(show).collect();
            format!("{{\n{}\n{end}}}", members.join(",\n"))
        }
        plain => ascii(plain),
    }
}

fn ascii(value: &Json) -> String {
    let mut out = String::new();
    for c in value.compact().chars() {
        if c.is_ascii() && !matches!(c, '<' | '>' | '&' | '\'') {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").expect("a string takes everything");
            }
        }
    }
    out
}

/// The page of one request.
pub(crate) fn detail(request: &Request) -> String {
    let id = request.request_id;
    let below = match request.status {
        "PENDING" => format!(
            r#"<form class="response-form" action="/requests/{id}/respond" method="post">
<label>Answer <textarea name="response_text" rows="6" required></textarea></label>
<label>Your name <input name="responder" value="human" maxlength="255"></label>
<p class="actions"><button type="submit">Send</button></p>
</form>
<form action="/requests/{id}/dismiss" method="post"><button type="submit">Dismiss</button></form>"#
        ),
        "ANSWERED" => format!(
            "<h2>Answer</h2>\n<p class=\"answer\">{}</p>\n<p class=\"from\">by {} at {}</p>",
            e(request.response_text.as_deref().unwrap_or("")),
            e(request.responder.as_deref().unwrap_or("")),
            e(request.answered_at.as_deref().unwrap_or("")),
        ),
        _ => "<p class=\"note\">This request was dismissed.</p>".to_owned(),
    };
    let body = format!(
        r#"<header class="bar"><p><a href="/">All requests</a></p></header>
<main>
<article class="request-detail" data-request-id="{id}">
<h1 class="title">{title}</h1>
<p class="from">{priority}{tags} {status} · Session <code>{session}</code> · {created}</p>
<p class="question">{question}</p>
{context}{below}
</article>
</main>"#,
        title = e(&request.title),
        priority = priority(request),
        tags = tags(request),
        status = request.status,
        session = e(&request.session_id),
        created = e(&request.created_at),
        question = e(&request.question),
        context = context(request),
    );
    whole(&request.title, &body)
}

#[cfg(test)]
mod tests {
    use trunkline_core::raw::Raw;

    use super::*;

    fn request() -> Request {
        Request {
            request_id: "0190163d-8694-739b-aea5-966c26f8ad91".parse().unwrap(),
            session_id: "s<1>".into(),
            title: "<script>alert('1')</script>".into(),
            question: "a & b\n\"c\"".into(),
            context_json: Some(Raw::parse(r#"{"b":["</pre><script>'é🦀"],"a":{},"c":0}"#).unwrap()),
            priority: "HIGH",
            tags: Some(vec!["<t>".into()]),
            status: "PENDING",
            response_text: None,
            responder: None,
            created_at: "2026-11-21T07:39:49".into(),
            answered_at: None,
        }
    }

    #[test]
    fn nothing_of_a_client_is_markup() {
        let answered = Request { status: "ANSWERED", response_text: Some("<b>".into()), ..request() };
        for html in [requests(&[request()]), detail(&request()), detail(&answered)] {
            assert!(
                !html.contains("<script>alert") && !html.contains("<b>") && !html.contains("<t>"),
                "{html}"
            );
            assert!(!html.contains("s<1>") && !html.contains("</pre><script"), "{html}");
            assert!(html.contains("&lt;script&gt;alert(&#39;1&#39;)"), "{html}");
        }
    }

    #[test]
    fn a_context_is_json_in_plain_letters() {
        let html = requests(&[request()]);
        let pre = html.split("<pre>").nth(1).unwrap().split("</pre>").next().unwrap();
        let expected = "{\n  \"a\": {},\n  \"b\": [\n    \"\\u003c/pre\\u003e\\u003cscript\\u003e\\u0027\\u00e9\\ud83e\\udd80\"\n  ],\n  \"c\": 0\n}";
        assert_eq!(pre, expected);
    }

    #[test]
    fn scripts_find_their_hooks() {
        let html = home(&[], &[request()]);
        for hook in [
            "data-refresh-url=\"/partials/requests\"",
            "data-refresh-url=\"/partials/sessions\"",
            "class=\"request-item\" data-request-id=\"0190",
            "class=\"title\"",
            "class=\"priority priority-high\"",
            "class=\"question\"",
            "class=\"inline-response-form\" data-request-id=\"0190",
            "<textarea name=\"response_text\"",
            "<input type=\"hidden\" name=\"responder\"",
            "class=\"inline-response-status\"",
            "class=\"inline-dismiss-button\" data-request-id=\"0190",
            "data-enable-notifications",
            "data-notification-state",
            "request-context",
            "Context",
        ] {
            assert!(html.contains(hook), "{hook}");
        }
    }
}
