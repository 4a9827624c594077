//! The paths of the dialect, once: what they are for the router, for a request, and for who reads the guide.

use axum::http::Method;

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    Version,
    Ready,
    Status,
    Config,
    Sessions,
    Create,
    Session,
    Patch,
    Delete,
    History,
    Forget,
    UserToken,
    Servers,
    AddServer,
    PutServer,
    DropServer,
    SessionServers,
    Connect,
    Disconnect,
    ServerTools,
    ServerStatus,
    Prompt,
    Rebuild,
    Message,
    Events,
    Cancel,
    Answer,
    Permissions,
    Mode,
    Revoke,
    Profiles,
    MakeProfile,
    Profile,
    ChangeProfile,
    DropProfile,
    TestProfile,
    Agents,
    Agent,
    AgentOutput,
    AgentStatus,
    Tell,
    Feed,
    FeedSocket,
}

/// What a method and path mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// An operation.
    Op(Op),
    /// A path that takes other methods.
    Method(&'static str),
    /// Nothing.
    Nothing,
}

/// A path and what its methods do. `{}` stands for one part.
type Path = (&'static str, &'static str, &'static [(&'static str, Op)]);

const PATHS: [Path; 32] = [
    ("version", "GET", &[("GET", Op::Version)]),
    ("ready", "GET", &[("GET", Op::Ready)]),
    ("status", "GET", &[("GET", Op::Status)]),
    ("api/config", "GET", &[("GET", Op::Config)]),
    ("sessions", "GET, POST", &[("GET", Op::Sessions), ("POST", Op::Create)]),
    (
        "sessions/{}",
        "GET, PATCH, DELETE",
        &[("GET", Op::Session), ("PATCH", Op::Patch), ("DELETE", Op::Delete)],
    ),
    ("sessions/{}/history", "GET, DELETE", &[("GET", Op::History), ("DELETE", Op::Forget)]),
    ("sessions/{}/token", "GET", &[("GET", Op::UserToken)]),
    ("sessions/{}/system-prompt", "GET", &[("GET", Op::Prompt)]),
    ("sessions/{}/system-prompt/rebuild", "POST", &[("POST", Op::Rebuild)]),
    ("sessions/{}/message", "POST", &[("POST", Op::Message)]),
    ("sessions/{}/events", "GET", &[("GET", Op::Events)]),
    ("sessions/{}/cancel", "POST", &[("POST", Op::Cancel)]),
    ("sessions/{}/permission", "POST", &[("POST", Op::Answer)]),
    ("sessions/{}/permissions", "GET", &[("GET", Op::Permissions)]),
    ("sessions/{}/permissions/mode", "POST", &[("POST", Op::Mode)]),
    ("sessions/{}/permissions/approvals/{}", "DELETE", &[("DELETE", Op::Revoke)]),
    ("profiles", "GET, POST", &[("GET", Op::Profiles), ("POST", Op::MakeProfile)]),
    (
        "profiles/{}",
        "GET, PUT, DELETE",
        &[("GET", Op::Profile), ("PUT", Op::ChangeProfile), ("DELETE", Op::DropProfile)],
    ),
    ("profiles/{}/test", "POST", &[("POST", Op::TestProfile)]),
    ("mcp/servers", "GET, POST", &[("GET", Op::Servers), ("POST", Op::AddServer)]),
    ("mcp/servers/{}", "PUT, DELETE", &[("PUT", Op::PutServer), ("DELETE", Op::DropServer)]),
    ("sessions/{}/mcp", "GET", &[("GET", Op::SessionServers)]),
    ("sessions/{}/mcp/{}/connect", "POST", &[("POST", Op::Connect)]),
    ("sessions/{}/mcp/{}/disconnect", "POST", &[("POST", Op::Disconnect)]),
    ("sessions/{}/mcp/{}/tools", "GET", &[("GET", Op::ServerTools)]),
    ("sessions/{}/mcp/{}/status", "GET", &[("GET", Op::ServerStatus)]),
    ("hub/agents", "GET", &[("GET", Op::Agents)]),
    ("hub/agents/{}", "GET", &[("GET", Op::Agent)]),
    ("hub/agents/{}/output", "GET", &[("GET", Op::AgentOutput)]),
    ("hub/agents/{}/status", "GET", &[("GET", Op::AgentStatus)]),
    ("hub/messages", "POST", &[("POST", Op::Tell)]),
];
/// Those that stay open.
const STREAMS: [Path; 2] =
    [("hub/feed", "GET", &[("GET", Op::Feed)]), ("ws/hub/feed", "GET", &[("GET", Op::FeedSocket)])];

/// What a router has to send here.
pub(crate) fn paths() -> impl Iterator<Item = &'static str> {
    [
        "/version",
        "/ready",
        "/status",
        "/api/config",
        "/sessions",
        "/sessions/{*rest}",
        "/profiles",
        "/profiles/{*rest}",
        "/mcp/servers",
        "/mcp/servers/{*rest}",
        "/hub/{*rest}",
        "/ws/hub/feed",
    ]
    .into_iter()
}

/// Finds an operation.
pub(super) fn find(method: &Method, parts: &[&str]) -> Found {
    let fits = |path: &str| {
        let wanted: Vec<_> = path.split('/').collect();
        wanted.len() == parts.len()
            && wanted
                .iter()
                .zip(parts)
                .all(|(wanted, part)| if *wanted == "{}" { !part.is_empty() } else { wanted == part })
    };
    let Some((_, allowed, ops)) = PATHS.iter().chain(&STREAMS).find(|(path, ..)| fits(path)) else {
        return Found::Nothing;
    };
    let op = ops.iter().find(|(name, _)| *name == method.as_str());
    op.map_or(Found::Method(allowed), |(_, op)| Found::Op(*op))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_methods() {
        let get = |path: &str| find(&Method::GET, &path.split('/').collect::<Vec<_>>());
        assert_eq!(get("sessions"), Found::Op(Op::Sessions));
        assert_eq!(get("sessions/a/message"), Found::Method("POST"));
        assert_eq!(get("sessions/a"), Found::Op(Op::Session));
        assert_eq!(
            (get("sessions/"), get("sessions/a/b"), get("")),
            (Found::Nothing, Found::Nothing, Found::Nothing)
        );
        assert_eq!(get("ws/hub/feed"), Found::Op(Op::FeedSocket));
    }

    #[test]
    fn a_guide_tells_of_every_path_and_the_router_of_each() {
        let guide = include_str!("../../../../docs/guide/kollabor.md");
        for (path, ..) in PATHS.iter().chain(&STREAMS) {
            let second = if path.contains("/mcp/") { "{server}" } else { "{approval}" };
            let mut names = ["{session}", second].into_iter();
            let shown: Vec<_> =
                path.split('/').map(|part| if part == "{}" { names.next().unwrap() } else { part }).collect();
            let shown = shown.join("/");
            let other = shown
                .replace("profiles/{session}", "profiles/{profile}")
                .replace("agents/{session}", "agents/{agent}")
                .replace("servers/{session}", "servers/{server}");
            assert!(guide.contains(&format!("`/{other}`")), "the guide says nothing of /{other}");
            let first = path.split('/').next().unwrap();
            assert!(paths().any(|one| one.trim_start_matches('/').starts_with(first)), "{path}");
        }
    }
}
