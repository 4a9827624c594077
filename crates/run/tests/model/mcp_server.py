"""A scripted MCP server. Over its pipes: `mcp_server.py NAME [flag …]`; over HTTP: `mcp_server.py NAME http`, which prints its
port. What it does is decided by its flags and by what it is asked."""

import http.server
import json
import os
import sys
import threading
import time

NAME, FLAGS = sys.argv[1], sys.argv[2:]
OUT = threading.Lock()
more = False


def tool(name, **properties):
    schema = {"type": "object", "properties": properties}
    return {"name": name, "description": f"{name} of {NAME}", "inputSchema": schema}


def tools(cursor):
    """Two pages; a tool comes with the notification."""
    if "shared" in FLAGS:
        return {"tools": [tool("echo")]}
    if cursor is None:
        return {"tools": [tool("echo", text={"type": "string"}), tool("where")], "nextCursor": "2"}
    late = [tool("late")] if more else []
    bad = {"name": "bad", "inputSchema": {"type": "string"}}
    return {"tools": [tool("grow"), tool("die"), tool("hang"), tool("refuse"), bad] + late}


def text(words, failed=False):
    return {"content": [{"type": "text", "text": words}], "isError": failed}


def call(name, arguments):
    global more
    if name == "echo":
        return text(f"{NAME} says {arguments.get('text', 'nothing')}")
    if name == "where":
        return text(json.dumps({"cwd": os.getcwd(), "env": dict(os.environ)}))
    if name == "grow":
        more = True
        say({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"})
        return text("there is more now")
    if name == "refuse":
        return text("no", True)
    if name == "die":
        print("dying, secret is", os.environ.get("SECRET"), file=sys.stderr, flush=True)
        os._exit(7)
    if name == "hang":
        open("hanging.txt", "w").close()
        return None
    return text("it is late" if name == "late" else f"no tool {name}", name != "late")


def answer(message):
    method, params = message.get("method"), message.get("params") or {}
    if method == "initialize":
        info = {"name": NAME, "version": "1"}
        capabilities = {"tools": {"listChanged": True}}
        return {"protocolVersion": params["protocolVersion"], "capabilities": capabilities, "serverInfo": info}
    if method == "tools/list":
        return tools(params.get("cursor"))
    if method == "tools/call":
        return call(params["name"], params.get("arguments") or {})
    return {}


def say(message):
    with OUT:
        print(json.dumps(message), flush=True)


def pipes():
    if "mute" in FLAGS:
        while True:
            time.sleep(3600)
    if "broken" in FLAGS:
        print("it cannot work: no", os.environ.get("SECRET"), file=sys.stderr, flush=True)
        sys.exit(3)
    if "noisy" in FLAGS:
        print("hello, this is no message", flush=True)
        print("x" * 300_000, file=sys.stderr, flush=True)
    for line in sys.stdin:
        message = json.loads(line)
        if message.get("method") == "notifications/cancelled":
            with open("cancelled.txt", "w") as file:
                file.write(json.dumps(message["params"]))
        if "id" not in message:
            continue
        result = answer(message)
        if result is not None:
            say({"jsonrpc": "2.0", "id": message["id"], "result": result})


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("x-key") != "canary-of-a-header":
            return self.reply(401, "text/plain", b"no key: " + self.headers.get("x-key", "").encode())
        message = json.loads(body)
        if "id" not in message:
            return self.reply(202, "text/plain", b"")
        told = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": answer(message)})
        if message["method"] == "tools/call":
            return self.reply(200, "text/event-stream", f"event: message\ndata: {told}\n\n".encode())
        self.reply(200, "application/json", told.encode(), session="s1")

    def do_GET(self):
        self.reply(405, "text/plain", b"")

    def do_DELETE(self):
        self.reply(200, "text/plain", b"")

    def reply(self, status, kind, body, session=None):
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        if session:
            self.send_header("mcp-session-id", session)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if FLAGS == ["http"]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()
else:
    pipes()
