"""Configuration, options and the values that go over the wire.

Field names, order and defaults are those of the PyPI package, so that positional use works too. What is new
stands at the end of a class and has a default.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, IntEnum
from typing import Any, Literal, TypedDict

__all__ = [
    "AuditEvent",
    "BackendMode",
    "BusConfig",
    "BusOptions",
    "BusState",
    "BusStats",
    "DockerOptions",
    "ErrorHandler",
    "ExtensionInfo",
    "HelloParams",
    "HelloResult",
    "Identity",
    "JsonRpcRequest",
    "JsonRpcResponse",
    "LimitsConfig",
    "ListenMode",
    "MessageHandler",
    "NativeOptions",
    "OverflowPolicy",
    "PoolConfig",
    "RequestOptions",
    "StreamEvent",
    "StreamEventType",
    "SubprocessOptions",
]

MAX_PORT = 65535

MessageHandler = Callable[[str], None]
ErrorHandler = Callable[[Exception], None]

OverflowPolicy = Literal["drop", "close"]
"""What a full subscription does: ``"drop"`` loses the newest notification, ``"close"`` ends the subscription.

What was queued before is delivered either way, and no other subscription notices."""

StreamEventType = Literal["chunk", "result"]


class BusState(IntEnum):
    """Where a bus is in its life. ``STARTING`` also while a lost router is started again."""

    CREATED = 0
    STARTING = 1
    RUNNING = 2
    STOPPING = 3
    STOPPED = 4


class BackendMode(str, Enum):
    """How the router is reached."""

    AUTO = "auto"
    NATIVE = "native"
    DOCKER = "docker"
    SUBPROCESS = "subprocess"


class ListenMode(str, Enum):
    """What an in-process router listens on for other clients."""

    NONE = "none"
    TCP = "tcp"
    UNIX = "unix"


@dataclass
class BusStats:
    """Counters since the bus was made.

    ``in`` is from this program to the router, ``out`` the other way; both in messages and in bytes with their
    newline. ``worker_restarts`` and ``routing_errors`` are the router's own, 0 where it does not tell them.
    ``client_connects`` counts connections of this bus to a router, so a value above 1 tells of restarts.
    """

    messages_in: int = 0
    messages_out: int = 0
    bytes_in: int = 0
    bytes_out: int = 0
    worker_restarts: int = 0
    routing_errors: int = 0
    client_connects: int = 0
    client_disconnects: int = 0


@dataclass
class DockerOptions:
    """How the router is run in a container.

    ``pull_policy`` is ``"never"``, ``"if-missing"`` or ``"always"``. ``startup_timeout_sec`` bounds the time from
    the start of the container to the first connection. ``extra_args`` go to ``run`` before the image.
    """

    image: str = "stdiobus/stdiobus:node20"
    pull_policy: str = "if-missing"
    engine_path: str = "docker"
    startup_timeout_sec: float = 15.0
    container_name_prefix: str = "stdiobus"
    extra_args: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class BusOptions:
    """The options of a bus in one value, for programs that hand them around."""

    config_path: str
    backend: BackendMode = BackendMode.AUTO
    timeout_ms: int = 30000
    docker: DockerOptions | None = None


@dataclass
class PoolConfig:
    """A pool of equal workers: ``instances`` processes of ``command`` with ``args``."""

    id: str
    command: str
    args: list[str] = field(default_factory=list)
    instances: int = 1


@dataclass
class LimitsConfig:
    """Limits of the router. ``None`` leaves the router's own default.

    Buffers and queues are in bytes, the rest is in seconds; ``max_restarts`` is per worker within
    ``restart_window_sec``.
    """

    max_input_buffer: int | None = None
    max_output_queue: int | None = None
    max_restarts: int | None = None
    restart_window_sec: int | None = None
    drain_timeout_sec: int | None = None
    backpressure_timeout_sec: int | None = None


@dataclass
class BusConfig:
    """The router's configuration: at least one pool, and limits where the defaults do not fit."""

    pools: list[PoolConfig] = field(default_factory=list)
    limits: LimitsConfig | None = None

    def validate(self) -> None:
        """Check what the router would refuse anyway.

        Raises:
            ValueError: no pool, a pool without id or command, or with fewer than one instance.
        """
        if not self.pools:
            raise ValueError("a configuration needs at least one pool")
        for number, pool in enumerate(self.pools):
            if not pool.id:
                raise ValueError(f"pool {number} has no id")
            if not pool.command:
                raise ValueError(f"pool {pool.id!r} has no command")
            if pool.instances < 1:
                raise ValueError(f"pool {pool.id!r} needs instances >= 1, not {pool.instances}")

    def to_dict(self) -> dict[str, Any]:
        """Return the configuration in the router's own shape; limits that are not set are left out."""
        told: dict[str, Any] = {
            "pools": [
                {"id": pool.id, "command": pool.command, "args": pool.args, "instances": pool.instances}
                for pool in self.pools
            ]
        }
        if self.limits is not None:
            limits = {name: value for name, value in vars(self.limits).items() if value is not None}
            if limits:
                told["limits"] = limits
        return told

    def to_json(self) -> str:
        """Return :meth:`to_dict` as JSON."""
        return json.dumps(self.to_dict())


@dataclass
class SubprocessOptions:
    """How the router is run as a child process.

    ``binary_path`` is taken as it is; if it is empty, ``stdio_bus`` is looked up on ``PATH``.
    ``start_timeout_sec`` bounds the time until the router is ready; one that speaks but does not say whether it is
    ready is taken to be so half a second after its first word, and one that is silent when the time is over.
    ``drain_timeout_sec`` is what ``stop()`` of the backend waits if it is told no time. ``stderr_buffer_lines`` lines
    of the router's stderr are kept for error messages. ``env`` is added to this process's environment.
    """

    binary_path: str = ""
    start_timeout_sec: float = 5.0
    drain_timeout_sec: float = 30.0
    stderr_buffer_lines: int = 200
    env: dict[str, str] = field(default_factory=dict)


@dataclass
class NativeOptions:
    """How the router is run inside this process, and what it listens on there.

    Only the native backend can listen. ``poll_interval_ms`` is used where the library has no descriptor to wait for.
    """

    listen_mode: ListenMode | str = ListenMode.NONE
    tcp_host: str = "127.0.0.1"
    tcp_port: int | None = None
    unix_path: str | None = None
    poll_interval_ms: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.listen_mode, ListenMode):
            return
        try:
            self.listen_mode = ListenMode(self.listen_mode)
        except ValueError as unknown:
            raise ValueError(f"listen_mode is none, tcp or unix, not {self.listen_mode!r}") from unknown

    def validate(self) -> None:
        """Check that the listener can be opened.

        Raises:
            ValueError: TCP without a port in 1..65535 (the library cannot tell a port it chose itself), Unix
                without a path, or a poll interval below 1 ms.
        """
        if self.listen_mode == ListenMode.TCP:
            if self.tcp_port is None:
                raise ValueError("listening on TCP needs tcp_port")
            if not 1 <= self.tcp_port <= MAX_PORT:
                raise ValueError(f"tcp_port is 1..{MAX_PORT}, not {self.tcp_port}")
        elif self.listen_mode == ListenMode.UNIX and not self.unix_path:
            raise ValueError("listening on a Unix socket needs unix_path")
        if self.poll_interval_ms < 1:
            raise ValueError(f"poll_interval_ms is at least 1, not {self.poll_interval_ms}")


@dataclass
class ExtensionInfo:
    """An extension that is offered (``required``) or agreed on (``active``)."""

    version: str
    required: bool = False
    active: bool = False


@dataclass
class HelloParams:
    """What this side offers in ``stdio_bus/hello``."""

    protocol_version: str = "0.1.0"
    extensions: dict[str, ExtensionInfo] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the ``params`` of the request."""
        return {
            "protocolVersion": self.protocol_version,
            "extensions": {
                name: {"version": extension.version, "required": extension.required}
                for name, extension in self.extensions.items()
            },
        }


@dataclass
class HelloResult:
    """What the other side answered to ``stdio_bus/hello``. What it left out is empty."""

    negotiated_protocol_version: str
    session_id: str
    extensions: dict[str, ExtensionInfo] = field(default_factory=dict)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> HelloResult:
        """Read the ``result`` of the answer."""
        extensions = {
            name: ExtensionInfo(
                version=told.get("selected", told.get("version", "")), active=told.get("active", False)
            )
            for name, told in data.get("extensions", {}).items()
        }
        return cls(data.get("negotiatedProtocolVersion", ""), data.get("sessionId", ""), extensions)


@dataclass
class Identity:
    """On whose behalf a request is made; it travels in ``_ext.identity``."""

    subject_id: str
    role: str
    asserted_by: str = "self"

    def to_dict(self) -> dict[str, Any]:
        """Return the value of ``_ext.identity``."""
        return {"subjectId": self.subject_id, "role": self.role, "assertedBy": self.asserted_by}


@dataclass
class AuditEvent:
    """What a request is recorded as; it travels in ``_ext.audit``, without what is empty."""

    event_id: str
    action: str
    parent_event_id: str | None = None
    timestamp: str | None = None
    actor: dict[str, str] | None = None
    resource: str | None = None
    outcome: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the value of ``_ext.audit``."""
        optional = {
            "parentEventId": self.parent_event_id,
            "timestamp": self.timestamp,
            "actor": self.actor,
            "resource": self.resource,
            "outcome": self.outcome,
        }
        required = {"eventId": self.event_id, "action": self.action}
        return required | {name: value for name, value in optional.items() if value}


@dataclass
class RequestOptions:
    """Options of one request. ``timeout_ms`` and ``session_id`` win over the arguments of the same name.

    ``pool`` names the worker pool; a router with several pools needs it unless it chooses by other means.
    """

    timeout_ms: int | None = None
    session_id: str | None = None
    agent_id: str | None = None
    identity: Identity | None = None
    audit: AuditEvent | None = None
    pool: str | None = None


@dataclass(frozen=True)
class StreamEvent:
    """One step of a stream: any number of ``"chunk"`` with ``text``, then one ``"result"`` with ``result``."""

    type: StreamEventType
    text: str | None = None
    result: Any | None = None


class JsonRpcRequest(TypedDict, total=False):
    """A request as it is sent."""

    jsonrpc: str
    id: str
    method: str
    params: dict[str, Any]


class JsonRpcResponse(TypedDict, total=False):
    """An answer as it is received."""

    jsonrpc: str
    id: str
    result: Any
    error: dict[str, Any]
