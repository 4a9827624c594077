"""The wire as a table: what is sent, and what comes back. Any server of the bus is held against it.

A step is a line and the lines that answer it, pushes before the reply. ``$ns`` is a word of the case's own, so that
one server can serve all of them. In what is expected ``"<name:hex>"`` stands for an id of 12 digits, which later lines
call XX are compared as text, the others as JSON.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BETTER", "CASES", "EXACT", "OK", "PECULIAR", "Case", "case", "failed"]


class Case(NamedTuple):
    """What is sent and what comes back, under a name."""

    name: str
    steps: list[tuple[str, ...]]


OK = '{"ok": true}'


def failed(text: str) -> str:
    return f'{{"ok": false, "error": "{text}"}}'


def case(name: str, *steps: tuple[str, ...]) -> Case:
    return Case(name, list(steps))


def put(key: str, value: str, more: str = "") -> tuple[str, str]:
    return f'{{"op": "put", "key": {key}, "value": {value}, "namespace": "$ns"{more}}}', OK


def get(key: str, value: str) -> tuple[str, str]:
    return f'{{"op": "get", "key": {key}, "namespace": "$ns"}}', f'{{"ok": true, "value": {value}}}'


def keys(*names: str) -> tuple[str, str]:
    return '{"op": "keys", "namespace": "$ns"}', f'{{"ok": true, "keys": [{", ".join(names)}]}}'


EXACT = [
    case("ping", ('{"op": "ping"}', '{"ok": true, "pong": true}')),
    case("separators", put('"k"', '{"b":[1,2],"a":{}}'), get('"k"', '{"b": [1, 2], "a": {}}')),
    case("ascii only", put('"k"', '"\u00e9\u4e16\U0001f600"'), get('"k"', r'"\u00e9\u4e16\ud83d\ude00"')),
    case("a key that is not ascii", put('"\u00e9"', "1"), keys(r'"\u00e9"')),
    case(
        "escapes",
        put('"k"', r'"\"\\\/\b\f\n\r\t\u007f\u0001"'),
        get('"k"', '"\\"\\\\/\\b\\f\\n\\r\\t\\u007f\\u0001"'),
    ),
    case("lone surrogates", put('"k"', r'"\ud800x\udc00"'), get('"k"', r'"\ud800x\udc00"')),
    case("big integers", put('"k"', "123456789012345678901234567890"), get('"k"', "123456789012345678901234567890")),
    case(
        "64 bits",
        put('"k"', "[18446744073709551615, -9223372036854775808]"),
        get('"k"', "[18446744073709551615, -9223372036854775808]"),
    ),
    case(
        "floats",
        put('"k"', "[1.0, 0.1, -0.0, 1e22, 1e16, 1e15, 1e-7, 0.0001, 1.5e300]"),
        get('"k"', "[1.0, 0.1, -0.0, 1e+22, 1e+16, 1000000000000000.0, 1e-07, 0.0001, 1.5e+300]"),
    ),
    case(
        "no numbers that JSON lacks",
        put('"k"', "[NaN, Infinity, -Infinity, 1]"),
        get('"k"', "[null, null, null, 1]"),
    ),
    case("order of members", put('"k"', '{"z": 1, "a": 2, "m": 3}'), get('"k"', '{"z": 1, "a": 2, "m": 3}')),
    case("the last of two members", put('"k"', '{"a": 1, "b": 2, "a": 3}'), get('"k"', '{"a": 3, "b": 2}')),
    case("the last of two fields", ('{"op": "get", "op": "ping"}', '{"ok": true, "pong": true}')),
    case(
        "a push",
        ('{"op": "subscribe", "topic": "$ns"}', OK),
        (
            '{"op":"publish","topic":"$ns","data":{"a":[1]},"agent":"me"}',
            '{"event": "signal", "topic": "$ns", "data": {"a": [1]}, "agent": "me"}',
            '{"ok": true, "count": 1}',
        ),
    ),
]

BAD_LINES = [
    case("a word", ("hello", failed("invalid JSON"))),
    case("half an object", ('{"op": "ping"', failed("invalid JSON"))),
    case("text after it", ('{"op": "ping"} x', failed("invalid JSON"))),
    case("two objects", ('{"op": "ping"}{"op": "ping"}', failed("invalid JSON"))),
    case("a byte order mark", ('\ufeff{"op": "ping"}', failed("invalid JSON"))),
    case("a comma too many", ('{"op": "ping",}', failed("invalid JSON"))),
    case("a tab in a string", ('{"op": "pi\tng"}', failed("invalid JSON"))),
    case("an integer", ("1", failed("'int' object has no attribute 'get'"))),
    case("a list", ("[]", failed("'list' object has no attribute 'get'"))),
    case("a string", ('"ping"', failed("'str' object has no attribute 'get'"))),
    case("null", ("null", failed("'NoneType' object has no attribute 'get'"))),
    case("a float", ("1.5", failed("'float' object has no attribute 'get'"))),
    case("a boolean", ("true", failed("'bool' object has no attribute 'get'"))),
    case("no op", ("{}", failed("unknown op: "))),
    case("another op", ('{"op": "fly"}', failed("unknown op: fly"))),
    case("a null op", ('{"op": null}', failed("unknown op: None"))),
    case("a number as op", ('{"op": 1}', failed("unknown op: 1"))),
    case("a list as op", ('{"op": ["ping"]}', failed("unknown op: ['ping']"))),
    case("upper case", ('{"op": "PING"}', failed("unknown op: PING"))),
    case("more fields", ('{"op": "ping", "x": [1]}', '{"ok": true, "pong": true}')),
    case("blanks around", ('  {"op": "ping"} \t\r', '{"ok": true, "pong": true}')),
    case("a blank line before", (' \n\r\n{"op": "ping"}', '{"ok": true, "pong": true}')),
]

MISSING = [
    case(f"{op} without {field}", (f'{{"op": "{op}"{", " if given else ""}{given}}}', failed(f"'{field}'")))
    for op, given, field in [
        ("put", "", "key"),
        ("get", "", "key"),
        ("delete", "", "key"),
        ("restore", "", "data"),
        ("publish", "", "topic"),
        ("subscribe", "", "topic"),
        ("register", "", "agent_id"),
        ("transfer", "", "from_agent"),
        ("transfer", '"from_agent": "a"', "to_agent"),
        ("save_session", "", "agent_id"),
        ("update_session", "", "session_id"),
        ("open_lane", "", "session_id"),
        ("open_lane", '"session_id": "x"', "from_agent"),
        ("open_lane", '"session_id": "x", "from_agent": "a"', "to_agent"),
        ("get_lane", "", "lane_id"),
        ("close_lane", "", "lane_id"),
        ("checkpoint", "", "session_id"),
        ("checkpoint", '"session_id": "x"', "agent_id"),
        ("checkpoint", '"session_id": "x", "agent_id": "a"', "snapshot"),
    ]
]

UNHASHABLE = [
    case(
        f"{op} with {fields % kind}",
        (f'{{"op": "{op}", {fields % value}}}', failed(f"unhashable type: '{kind}'")),
    )
    for kind, value in (("list", "[1]"), ("dict", '{"a": 1}'))
    for op, fields in [
        ("put", '"key": %s'),
        ("put", '"key": "k", "namespace": %s'),
        ("put", '"key": "k", "namespace": "$ns", "agent": %s'),
        ("get", '"key": %s'),
        ("delete", '"key": %s'),
        ("keys", '"namespace": %s'),
        ("publish", '"topic": %s'),
        ("subscribe", '"topic": %s'),
        ("register", '"agent_id": %s'),
    ]
]

VALUES = [
    case("nothing there", get('"k"', "null")),
    case("put and get", put('"k"', '{"a": [1, null]}'), get('"k"', '{"a": [1, null]}'), keys('"k"')),
    case("null by default", ('{"op": "put", "key": "k", "namespace": "$ns"}', OK), get('"k"', "null"), keys('"k"')),
    case(
        "the default namespace",
        ('{"op": "put", "key": "$ns", "value": 1}', OK),
        ('{"op": "get", "key": "$ns"}', '{"ok": true, "value": 1}'),
        ('{"op": "get", "key": "$ns", "namespace": "default"}', '{"ok": true, "value": 1}'),
        ('{"op": "get", "key": "$ns", "namespace": null}', '{"ok": true, "value": null}'),
    ),
    case(
        "a null namespace",
        ('{"op": "put", "key": "$ns", "value": 1, "namespace": null}', OK),
        ('{"op": "get", "key": "$ns", "namespace": null}', '{"ok": true, "value": 1}'),
        ('{"op": "get", "key": "$ns"}', '{"ok": true, "value": null}'),
    ),
    case(
        "order of keys",
        put('"b"', "1"),
        put('"a"', "2"),
        put('"b"', "3"),
        keys('"b"', '"a"'),
        ('{"op": "all", "namespace": "$ns"}', '{"ok": true, "data": {"b": 3, "a": 2}}'),
    ),
    case(
        "equal keys",
        put("1", '"one"'),
        get("1.0", '"one"'),
        get("true", '"one"'),
        get('"1"', "null"),
        put("true", '"yes"'),
        keys("1"),
    ),
    case(
        "keys that are no strings",
        put("null", "0"),
        put("7", "1"),
        put("2.5", "2"),
        ('{"op": "all", "namespace": "$ns"}', '{"ok": true, "data": {"null": 0, "7": 1, "2.5": 2}}'),
        ('{"op": "snapshot", "namespace": "$ns"}', '{"ok": true, "data": {"null": 0, "7": 1, "2.5": 2}}'),
    ),
    case(
        "delete",
        put('"k"', "1"),
        ('{"op": "delete", "key": "k", "namespace": "$ns"}', '{"ok": true, "deleted": true}'),
        ('{"op": "delete", "key": "k", "namespace": "$ns"}', '{"ok": true, "deleted": false}'),
        get('"k"', "null"),
    ),
    case(
        "clear",
        put('"a"', "1"),
        put('"b"', "2"),
        ('{"op": "clear", "namespace": "$ns"}', '{"ok": true, "count": 2}'),
        ('{"op": "clear", "namespace": "$ns"}', '{"ok": true, "count": 0}'),
        keys(),
    ),
    case(
        "restore",
        ('{"op": "restore", "data": {"a": 1, "b": null}, "namespace": "$ns"}', '{"ok": true, "count": 2}'),
        keys('"a"', '"b"'),
        get('"a"', "1"),
    ),
    case(
        "restore drops owners",
        put('"a"', "1", ', "agent": "x"'),
        ('{"op": "restore", "data": {"a": 2}, "namespace": "$ns"}', '{"ok": true, "count": 1}'),
        ('{"op": "keys", "namespace": "$ns", "agent": "x"}', '{"ok": true, "keys": []}'),
    ),
    case(
        "restore a list",
        ('{"op": "restore", "data": [], "namespace": "$ns"}', failed("'list' object has no attribute 'items'")),
    ),
    case(
        "keys of an agent",
        put('"a"', "1", ', "agent": "x"'),
        put('"b"', "2", ', "agent": "y"'),
        put('"c"', "3"),
        ('{"op": "keys", "namespace": "$ns", "agent": "x"}', '{"ok": true, "keys": ["a"]}'),
        put('"a"', "1"),
        ('{"op": "keys", "namespace": "$ns", "agent": "x"}', '{"ok": true, "keys": []}'),
    ),
]

LIFETIMES = [
    *(
        case(f"ttl {ttl} is for ever", put('"k"', "1", f', "ttl": {ttl}'), get('"k"', "1"))
        for ttl in ("null", "0", "0.0", "false", '""', "[]", "{}", "NaN", "Infinity", "1e400", "3600", "true")
    ),
    *(
        case(f"ttl {ttl} is over", put('"k"', "1", f', "ttl": {ttl}'), get('"k"', "null"), keys())
        for ttl in ("-1", "-0.5")
    ),
    *(
        case(
            f"ttl {ttl} is none",
            (
                f'{{"op": "put", "key": "k", "namespace": "$ns", "ttl": {ttl}}}',
                failed(f"unsupported operand type(s) for +: 'float' and '{kind}'"),
            ),
            keys(),
        )
        for ttl, kind in (('"1"', "str"), ("[1]", "list"), ('{"a": 1}', "dict"))
    ),
    case("a later put takes the lifetime away", put('"k"', "1", ', "ttl": -1'), put('"k"', "2"), get('"k"', "2")),
    case(
        "what is over does not count",
        put('"a"', "1", ', "ttl": -1, "agent": "x"'),
        ('{"op": "delete", "key": "a", "namespace": "$ns"}', '{"ok": true, "deleted": false}'),
        put('"b"', "1", ', "ttl": -1, "agent": "x"'),
        (
            '{"op": "transfer", "from_agent": "x", "to_agent": "y", "namespace": "$ns"}',
            '{"ok": true, "transferred": 0, "keys": []}',
        ),
        put('"c"', "1", ', "ttl": -1'),
        ('{"op": "clear", "namespace": "$ns"}', '{"ok": true, "count": 0}'),
    ),
]

TRANSFERS = [
    case(
        "all of an agent",
        put('"a"', "1", ', "agent": "x"'),
        put('"b"', "2"),
        put('"c"', "3", ', "agent": "x"'),
        (
            '{"op": "transfer", "from_agent": "x", "to_agent": "y", "namespace": "$ns"}',
            '{"ok": true, "transferred": 2, "keys": ["a", "c"]}',
        ),
        ('{"op": "keys", "namespace": "$ns", "agent": "y"}', '{"ok": true, "keys": ["a", "c"]}'),
        get('"a"', "1"),
    ),
    case(
        "named keys",
        put('"a"', "1", ', "agent": "x"'),
        put('"b"', "2", ', "agent": "x"'),
        put('"c"', "3"),
        (
            '{"op": "transfer", "from_agent": "x", "to_agent": "y", "keys": ["no", "a", "c"], "namespace": "$ns"}',
            '{"ok": true, "transferred": 2, "keys": ["a", "c"]}',
        ),
        ('{"op": "keys", "namespace": "$ns", "agent": "y"}', '{"ok": true, "keys": ["a", "c"]}'),
    ),
    case(
        "none",
        (
            '{"op": "transfer", "from_agent": "x", "to_agent": "y", "namespace": "$ns"}',
            '{"ok": true, "transferred": 0, "keys": []}',
        ),
    ),
]

SIGNAL = '{"id": "<:int>", "topic": "$ns", "data": %s, "agent_id": %s, "timestamp": "<:time>"}'
SIGNALS = [
    case("nobody listens", ('{"op": "publish", "topic": "$ns"}', '{"ok": true, "count": 0}')),
    case(
        "to oneself",
        ('{"op": "subscribe", "topic": "$ns"}', OK),
        ('{"op": "subscribe", "topic": "$ns"}', OK),
        (
            '{"op": "publish", "topic": "$ns", "data": 1}',
            '{"event": "signal", "topic": "$ns", "data": 1, "agent": null}',
            '{"ok": true, "count": 1}',
        ),
    ),
    case(
        "no patterns",
        ('{"op": "subscribe", "topic": "$ns.*"}', OK),
        ('{"op": "publish", "topic": "$ns.a"}', '{"ok": true, "count": 0}'),
    ),
    case(
        "a number as topic",
        ('{"op": "subscribe", "topic": 41}', OK),
        (
            '{"op": "publish", "topic": 41, "data": "$ns"}',
            '{"event": "signal", "topic": 41, "data": "$ns", "agent": null}',
            '{"ok": true, "count": "<:int>"}',
        ),
    ),
    case(
        "puts are told",
        ('{"op": "subscribe", "topic": "__bus__.put.$ns"}', OK),
        (
            '{"op": "put", "key": "k", "value": [1], "agent": "me", "namespace": "$ns"}',
            '{"event": "signal", "topic": "__bus__.put.$ns", "data": {"key": "k", "value": [1], "agent": "me"}, "agent": "me"}',
            OK,
        ),
        ('{"op": "delete", "key": "k", "namespace": "$ns"}', '{"ok": true, "deleted": true}'),
        ('{"op": "signals", "topic": "__bus__.put.$ns"}', '{"ok": true, "signals": []}'),
    ),
    case(
        "restores are told",
        ('{"op": "subscribe", "topic": "__bus__.put.$ns"}', OK),
        (
            '{"op": "restore", "data": {"a": 1}, "namespace": "$ns"}',
            '{"event": "signal", "topic": "__bus__.put.$ns", "data": {"key": "a", "value": 1, "agent": null}, "agent": null}',
            '{"ok": true, "count": 1}',
        ),
    ),
    case(
        "what was published",
        ('{"op": "publish", "topic": "$ns", "data": {"n": 1}, "agent": "a"}', '{"ok": true, "count": 0}'),
        ('{"op": "publish", "topic": "$ns", "agent": "b"}', '{"ok": true, "count": 0}'),
        (
            '{"op": "signals", "topic": "$ns"}',
            '{"ok": true, "signals": [' + SIGNAL % ('{"n": 1}', '"a"') + ", " + SIGNAL % ("null", '"b"') + "]}",
        ),
        (
            '{"op": "signals", "topic": "$ns", "agent": "b"}',
            '{"ok": true, "signals": [' + SIGNAL % ("null", '"b"') + "]}",
        ),
    ),
    *(
        case(
            f"limit {limit}",
            *((f'{{"op": "publish", "topic": "$ns", "data": {n}}}', '{"ok": true, "count": 0}') for n in (1, 2, 3)),
            (
                f'{{"op": "signals", "topic": "$ns", "limit": {limit}}}',
                '{"ok": true, "signals": [' + ", ".join(SIGNAL % (n, "null") for n in kept) + "]}",
            ),
        )
        for limit, kept in ((2, "23"), (0, "123"), (-1, "23"), (-3, ""), (9, "123"))
    ),
    case("limit null", ('{"op": "signals", "limit": null}', failed("bad operand type for unary -: 'NoneType'"))),
    case("limit of text", ('{"op": "signals", "limit": "2"}', failed("bad operand type for unary -: 'str'"))),
    case(
        "half a limit",
        (
            '{"op": "signals", "limit": 1.5}',
            failed("slice indices must be integers or None or have an __index__ method"),
        ),
    ),
    case(
        "since",
        ('{"op": "publish", "topic": "$ns"}', '{"ok": true, "count": 0}'),
        (
            '{"op": "signals", "topic": "$ns", "since": "2020"}',
            '{"ok": true, "signals": [' + SIGNAL % ("null", "null") + "]}",
        ),
        ('{"op": "signals", "topic": "$ns", "since": "9"}', '{"ok": true, "signals": []}'),
        (
            '{"op": "signals", "topic": "$ns", "since": 5}',
            failed("'>=' not supported between instances of 'str' and 'int'"),
        ),
    ),
]

CASES = [*BAD_LINES, *MISSING, *UNHASHABLE, *VALUES, *LIFETIMES, *TRANSFERS, *SIGNALS]

PECULIAR = [
    case("ttl -Infinity is over", put('"k"', "1", ', "ttl": -Infinity'), get('"k"', "null")),
    case(
        "a truth as key",
        put("false", "1"),
        get("0", "1"),
        ('{"op": "all", "namespace": "$ns"}', '{"ok": true, "data": {"false": 1}}'),
    ),
    case("a number too large", put('"k"', "[1e400]"), get('"k"', "[null]")),
    case("since when nothing fits", ('{"op": "signals", "topic": "$ns", "since": 5}', '{"ok": true, "signals": []}')),
]
"""What comes of it that the original is Python; a server in another language may see it otherwise."""

BETTER = [
    case(
        "hello",
        (
            '{"op": "hello", "id": 1}',
            '{"ok": true, "server": "trunkline", "version": "<:text>", "extensions": "<:list>", "id": 1}',
        ),
    ),
    case(
        "no more of a topic",
        ('{"op": "subscribe", "topic": "$ns"}', OK),
        ('{"op": "unsubscribe", "topic": "$ns"}', '{"ok": true, "unsubscribed": true}'),
        ('{"op": "unsubscribe", "topic": "$ns"}', '{"ok": true, "unsubscribed": false}'),
        ('{"op": "publish", "topic": "$ns"}', '{"ok": true, "count": 0}'),
    ),
    case(
        "patterns",
        ('{"op": "subscribe", "topic": "$ns.*", "wildcard": true}', OK),
        ('{"op": "subscribe", "topic": "$ns.a"}', OK),
        (
            '{"op": "publish", "topic": "$ns.a", "data": 1}',
            '{"event": "signal", "topic": "$ns.a", "data": 1, "agent": null}',
            '{"ok": true, "count": 1}',
        ),
        ('{"op": "publish", "topic": "$ns.a.b"}', '{"ok": true, "count": 0}'),
        ('{"op": "unsubscribe", "topic": "$ns.*"}', '{"ok": true, "unsubscribed": false}'),
        ('{"op": "unsubscribe", "topic": "$ns.*", "wildcard": true}', '{"ok": true, "unsubscribed": true}'),
        ('{"op": "unsubscribe", "topic": "$ns.a"}', '{"ok": true, "unsubscribed": true}'),
        ('{"op": "publish", "topic": "$ns.a"}', '{"ok": true, "count": 0}'),
        ('{"op": "subscribe", "topic": "$ns.>.a", "wildcard": true}', failed("<:text>")),
    ),
    case(
        "an id comes back",
        ('{"op": "ping", "id": 7}', '{"ok": true, "pong": true, "id": 7}'),
        ('{"op": "get", "id": "x"}', '{"ok": false, "error": "<:text>", "id": "x"}'),
        ('{"op": "put", "key": "$ns", "id": null}', '{"ok": true, "id": null}'),
    ),
    case(
        "receipts",
        put('"a"', "1", ', "agent": "$ns.x"'),
        (
            '{"op": "transfer", "from_agent": "$ns.x", "to_agent": "$ns.y", "namespace": "$ns"}',
            '{"ok": true, "transferred": 1, "keys": ["a"]}',
        ),
        (
            '{"op": "transfers", "namespace": "$ns"}',
            '{"ok": true, "transfers": [{"from_agent": "$ns.x", "to_agent": "$ns.y", "keys": ["a"], "timestamp": "<:time>"}]}',
        ),
        ('{"op": "transfers", "namespace": "$ns.no"}', '{"ok": true, "transfers": []}'),
    ),
    case(
        "what belongs to a third",
        put('"a"', "1", ', "agent": "z"'),
        put('"b"', "2", ', "agent": "x"'),
        (
            '{"op": "transfer", "from_agent": "x", "to_agent": "y", "keys": ["b", "a"], "namespace": "$ns"}',
            '{"ok": true, "transferred": 1, "keys": ["b"]}',
        ),
        ('{"op": "keys", "namespace": "$ns", "agent": "z"}', '{"ok": true, "keys": ["a"]}'),
    ),
    case(
        "the bus's own topics",
        ('{"op": "publish", "topic": "__bus__.put.default", "data": {"key": "k"}}', failed("<:text>")),
    ),
]
"""What the original lacks, or gets wrong."""
