//! The routes of the built-in agent's MCP servers.

use trunkline_run::mcp::{Listed, SessionServer, SessionServers};

use super::{List, Route};
use crate::mcp_servers as servers;

/// Servers, and how a session stands to them.
pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get(
            "/v1/mcp/servers",
            servers::list,
            "The MCP servers of the built-in agent, without the values of their variables and headers.",
        )
        .gives::<List<Listed>>(200),
        Route::get("/v1/mcp/servers/{server}", servers::show, "An MCP server, without those values.")
            .gives::<Listed>(200),
        Route::put(
            "/v1/mcp/servers/{server}",
            servers::put,
            "Make an MCP server, or put it in the place of one that was made. A value given as `********` stays.",
        )
        .takes::<servers::Put>()
        .gives::<Listed>(200),
        Route::delete(
            "/v1/mcp/servers/{server}",
            servers::delete,
            "Delete an MCP server that was made, with its secrets.",
        ),
        Route::get(
            "/v1/sessions/{session}/mcp",
            servers::of_session,
            "The MCP servers that a session can use, how it stands to each, and their tools.",
        )
        .gives::<SessionServers>(200),
        Route::post(
            "/v1/sessions/{session}/mcp/{server}/connect",
            servers::connect,
            "Connect a session to an MCP server, and wait until that is done or has failed: the status says which.",
        )
        .gives::<SessionServer>(200),
        Route::post(
            "/v1/sessions/{session}/mcp/{server}/disconnect",
            servers::disconnect,
            "End a session's connection to an MCP server, with its program.",
        )
        .gives::<SessionServer>(200),
        Route::put(
            "/v1/sessions/{session}/mcp/{server}/trust",
            servers::trust,
            "Let an MCP server run that the session's project brings, as long as it is just the same.",
        )
        .takes::<servers::Trust>()
        .gives::<SessionServer>(200),
        Route::delete(
            "/v1/sessions/{session}/mcp/{server}/trust",
            servers::distrust,
            "Let it run no longer.",
        )
        .gives::<SessionServer>(200),
    ]
}
