"""The official Python client against the daemon: `client.py stdio BINARY` or `client.py http URL`.

It asks a person and prints the answer, while it does other things.
"""

from __future__ import annotations

import asyncio
import os
import sys

from mcp import ClientSession, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client


async def use(session: ClientSession) -> None:
    hello = await session.initialize()
    assert hello.server_info.name == "trunkline", hello
    tools = (await session.list_tools()).tools
    assert [tool.name for tool in tools][:2] == ["hub_status", "register_session"], tools
    made = await session.call_tool("register_session", {"display_name": "python"})
    assert not made.is_error and made.structured_content, made
    unknown = await session.call_tool("get_request", {"request_id": "none"})
    assert unknown.is_error, unknown
    asking = asyncio.create_task(session.call_tool("ask_human", {"question": "Tabs?", "options": ["yes", "no"]}))
    # A call that waits holds up nobody.
    listed = await session.call_tool("list_sessions", {})
    assert len(listed.content) >= 1, listed
    runtime = await session.read_resource("agentflow://runtime")
    assert "base_url" in runtime.contents[0].text, runtime
    answer = (await asking).structured_content
    assert answer and answer["status"] == "ANSWERED", answer
    print(answer["answer"], flush=True)


async def main() -> None:
    how, where = sys.argv[1:]
    if how == "stdio":
        server = StdioServerParameters(command=where, args=["mcp"], env=dict(os.environ))
        transport = stdio_client(server)
    else:
        transport = streamable_http_client(where)
    async with transport as streams, ClientSession(*streams[:2]) as session:
        await use(session)


asyncio.run(main())
