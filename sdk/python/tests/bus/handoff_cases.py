"""The part of the table that is about sessions, lanes and checkpoints."""

from __future__ import annotations

from bus.cases import OK, case, failed

__all__ = ["BETTER_HANDOFFS", "HANDOFFS"]

SESSION = (
    '{"id": "$s", "agent_id": "$ns", "repo": null, "status": "active", "task_summary": null, "decisions": [], '
    '"files_touched": [], "todos": [], "metadata": {}, "created": "<:time>", "updated": "<:time>"}'
)
LANE = (
    '{"id": "$l", "session_id": "$s", "from_agent": "a", "to_agent": "b", "status": "%s", "context": %s, '
    '"created": "<:time>", "updated": "<:time>"}'
)
CHECKPOINT = (
    '{"id": "$c", "session_id": "$s", "lane_id": %s, "agent_id": "$ns", "snapshot": %s, "created": "<:time>"}'
)
NEW = ('{"op": "save_session", "agent_id": "$ns"}', '{"ok": true, "session_id": "<s:hex>"}')
OPEN = (
    '{"op": "open_lane", "session_id": "$s", "from_agent": "a", "to_agent": "b"}',
    '{"ok": true, "lane_id": "<l:hex>"}',
)
FOREIGN = failed("FOREIGN KEY constraint failed: there is no session 'no'")


HANDOFFS = [
    case("a session", NEW, ('{"op": "get_session", "session_id": "$s"}', '{"ok": true, "session": ' + SESSION + "}")),
    case(
        "all of a session",
        (
            '{"op": "save_session", "agent_id": "$ns", "repo": "/r", "status": "paused", "task_summary": "t", "decisions": ["d"], "files_touched": {"f": 1}, "todos": "later", "metadata": [1]}',
            '{"ok": true, "session_id": "<s:hex>"}',
        ),
        (
            '{"op": "get_session", "session_id": "$s"}',
            '{"ok": true, "session": {"id": "$s", "agent_id": "$ns", "repo": "/r", "status": "paused", "task_summary": "t", "decisions": ["d"], "files_touched": {"f": 1}, "todos": "later", "metadata": [1], "created": "<:time>", "updated": "<:time>"}}',
        ),
    ),
    case(
        "falsy lists",
        (
            '{"op": "save_session", "agent_id": "$ns", "decisions": 0, "files_touched": "", "todos": null, "metadata": []}',
            '{"ok": true, "session_id": "<s:hex>"}',
        ),
        ('{"op": "get_session", "session_id": "$s"}', '{"ok": true, "session": ' + SESSION + "}"),
    ),
    case(
        "scalars become text",
        (
            '{"op": "save_session", "agent_id": "$ns", "repo": 5, "status": true, "task_summary": 1.5}',
            '{"ok": true, "session_id": "<s:hex>"}',
        ),
        (
            '{"op": "get_session", "session_id": "$s"}',
            '{"ok": true, "session": '
            + SESSION.replace('"repo": null', '"repo": "5"')
            .replace('"active"', '"1"')
            .replace('"task_summary": null', '"task_summary": "1.5"')
            + "}",
        ),
    ),
    case(
        "another field",
        (
            '{"op": "save_session", "agent_id": "$ns", "foo": 1}',
            failed("HandoffStore.save_session() got an unexpected keyword argument 'foo'"),
        ),
    ),
    case(
        "no agent",
        ('{"op": "save_session", "agent_id": null}', failed("NOT NULL constraint failed: handoff_sessions.agent_id")),
    ),
    case(
        "no status",
        (
            '{"op": "save_session", "agent_id": "$ns", "status": null}',
            failed("NOT NULL constraint failed: handoff_sessions.status"),
        ),
    ),
    *(
        case(
            f"a list as {field}",
            (
                f'{{"op": "save_session", "agent_id": "$ns", "{field}": []}}',
                failed(f"Error binding parameter {number}: type 'list' is not supported"),
            ),
        )
        for number, field in enumerate(("agent_id", "repo", "status", "task_summary"), 2)
    ),
    case(
        "no such session",
        ('{"op": "get_session", "session_id": "no"}', '{"ok": true, "session": null}'),
        ('{"op": "get_session"}', '{"ok": true, "session": null}'),
        ('{"op": "get_session", "agent_id": "$ns"}', '{"ok": true, "session": null}'),
        ('{"op": "get_session", "repo": "$ns"}', '{"ok": true, "session": null}'),
    ),
    case(
        "the latest of an agent",
        ('{"op": "save_session", "agent_id": "$ns"}', '{"ok": true, "session_id": "<first:hex>"}'),
        NEW,
        ('{"op": "get_session", "agent_id": "$ns"}', '{"ok": true, "session": ' + SESSION + "}"),
        ('{"op": "get_session", "session_id": "", "agent_id": "$ns"}', '{"ok": true, "session": ' + SESSION + "}"),
        ('{"op": "get_session", "agent_id": "$ns", "repo": ""}', '{"ok": true, "session": null}'),
    ),
    case(
        "the latest of a repository",
        ('{"op": "save_session", "agent_id": "$ns", "repo": "$ns/r"}', '{"ok": true, "session_id": "<s:hex>"}'),
        (
            '{"op": "get_session", "repo": "$ns/r"}',
            '{"ok": true, "session": ' + SESSION.replace('"repo": null', '"repo": "$ns/r"') + "}",
        ),
    ),
    case(
        "lists",
        NEW,
        ('{"op": "list_sessions", "agent_id": "$ns"}', '{"ok": true, "sessions": [' + SESSION + "]}"),
        (
            '{"op": "list_sessions", "agent_id": "$ns", "status": "", "repo": null}',
            '{"ok": true, "sessions": [' + SESSION + "]}",
        ),
        ('{"op": "list_sessions", "agent_id": "$ns", "status": "paused"}', '{"ok": true, "sessions": []}'),
        ('{"op": "list_sessions", "agent_id": "$ns", "repo": ""}', '{"ok": true, "sessions": []}'),
    ),
    case(
        "update",
        NEW,
        ('{"op": "update_session", "session_id": "$s", "status": "completed", "todos": null, "foo": 1}', OK),
        (
            '{"op": "get_session", "session_id": "$s"}',
            '{"ok": true, "session": '
            + SESSION.replace('"active"', '"completed"').replace('"todos": []', '"todos": null')
            + "}",
        ),
        (
            '{"op": "update_session", "session_id": "$s", "status": null}',
            failed("NOT NULL constraint failed: handoff_sessions.status"),
        ),
        ('{"op": "update_session", "session_id": "$s", "foo": 1}', OK),
    ),
    case(
        "a lane",
        NEW,
        OPEN,
        ('{"op": "get_lane", "lane_id": "$l"}', '{"ok": true, "lane": ' + LANE % ("open", "{}") + "}"),
        ('{"op": "close_lane", "lane_id": "$l"}', OK),
        ('{"op": "close_lane", "lane_id": "$l"}', OK),
        ('{"op": "list_lanes", "session_id": "$s"}', '{"ok": true, "lanes": [' + LANE % ("closed", "{}") + "]}"),
    ),
    case(
        "a lane's context",
        NEW,
        (
            '{"op": "open_lane", "session_id": "$s", "from_agent": "a", "to_agent": "b", "context": ["c"]}',
            '{"ok": true, "lane_id": "<l:hex>"}',
        ),
        ('{"op": "get_lane", "lane_id": "$l"}', '{"ok": true, "lane": ' + LANE % ("open", '["c"]') + "}"),
    ),
    case(
        "no such lane",
        ('{"op": "get_lane", "lane_id": "no"}', '{"ok": true, "lane": null}'),
        ('{"op": "list_lanes", "session_id": "$ns"}', '{"ok": true, "lanes": []}'),
    ),
    case(
        "a lane of no session",
        ('{"op": "open_lane", "session_id": "no", "from_agent": "a", "to_agent": "b"}', FOREIGN),
    ),
    case(
        "a lane from nobody",
        NEW,
        (
            '{"op": "open_lane", "session_id": "$s", "from_agent": null, "to_agent": "b"}',
            failed("NOT NULL constraint failed: handoff_lanes.from_agent"),
        ),
    ),
    case(
        "a checkpoint",
        NEW,
        (
            '{"op": "checkpoint", "session_id": "$s", "agent_id": "$ns", "snapshot": {"a": [1]}}',
            '{"ok": true, "checkpoint_id": "<c:hex>"}',
        ),
        (
            '{"op": "list_checkpoints", "session_id": "$s"}',
            '{"ok": true, "checkpoints": [' + CHECKPOINT % ("null", '{"a": [1]}') + "]}",
        ),
    ),
    case(
        "an empty checkpoint of a lane",
        NEW,
        OPEN,
        ('{"op": "close_lane", "lane_id": "$l"}', OK),
        (
            '{"op": "checkpoint", "session_id": "$s", "agent_id": "$ns", "snapshot": null, "lane_id": "$l"}',
            '{"ok": true, "checkpoint_id": "<c:hex>"}',
        ),
        (
            '{"op": "list_checkpoints", "lane_id": "$l", "session_id": ""}',
            '{"ok": true, "checkpoints": [' + CHECKPOINT % ('"$l"', "null") + "]}",
        ),
        ('{"op": "list_checkpoints", "lane_id": "$l", "session_id": "no"}', '{"ok": true, "checkpoints": []}'),
    ),
    case(
        "a checkpoint of no session",
        ('{"op": "checkpoint", "session_id": "no", "agent_id": "a", "snapshot": 1}', FOREIGN),
    ),
    case(
        "a checkpoint of no lane",
        NEW,
        (
            '{"op": "checkpoint", "session_id": "$s", "agent_id": "a", "snapshot": 1, "lane_id": "no"}',
            failed("FOREIGN KEY constraint failed: there is no session '$s' or no lane 'no'"),
        ),
    ),
]

BETTER_HANDOFFS = [
    case(
        "an update of nothing",
        ('{"op": "update_session", "session_id": "no", "status": "x"}', failed("<:text>")),
        ('{"op": "update_session", "session_id": "no"}', failed("<:text>")),
    ),
    case("closing nothing", ('{"op": "close_lane", "lane_id": "no"}', failed("<:text>"))),
    case(
        "a lane of another session",
        NEW,
        OPEN,
        ('{"op": "save_session", "agent_id": "$ns"}', '{"ok": true, "session_id": "<other:hex>"}'),
        (
            '{"op": "checkpoint", "session_id": "$other", "agent_id": "a", "snapshot": 1, "lane_id": "$l"}',
            failed("<:text>"),
        ),
    ),
]
"""What the original gets wrong."""
