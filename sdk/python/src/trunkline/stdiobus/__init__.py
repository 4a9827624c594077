"""Workers behind the ``stdio_bus`` router, from Python.

Every public name of the PyPI package ``stdiobus`` 2.2 is here, with its signature::

    from trunkline.stdiobus import AsyncStdioBus, BusConfig, PoolConfig

    pools = [PoolConfig(id="echo", command="python3", args=["worker.py"], instances=2)]
    async with AsyncStdioBus(config=BusConfig(pools=pools)) as bus:
        print(await bus.request("echo", {"message": "hello"}))

Parts: :mod:`~.aio` and :mod:`~.sync` are the two buses, :mod:`~.builder` builds them; :mod:`~.types` and
:mod:`~.errors` are what they take, give and raise; :mod:`~.wire` and :mod:`~.pending` are the rules of the protocol,
without I/O; :mod:`~.backends` are the ways to a router; :mod:`~.lifeline`, :mod:`~.reconnect` and :mod:`~.census` are
what happens to it in the course of time. Only the standard library is used.
"""

from trunkline.stdiobus.aio import AsyncStdioBus
from trunkline.stdiobus.builder import StdioBusBuilder
from trunkline.stdiobus.errors import (
    CancelledError,
    ErrorCode,
    InternalError,
    InvalidArgumentError,
    InvalidStateError,
    NegotiationFailedError,
    NotSupportedError,
    PolicyDeniedError,
    ResourceExhaustedError,
    StdioBusError,
    TimeoutError,  # noqa: A004 - the name is the original's
    TransportError,
    UnavailableError,
)
from trunkline.stdiobus.reconnect import ReconnectPolicy
from trunkline.stdiobus.router import RouterStatus
from trunkline.stdiobus.subscription import NotificationSubscription
from trunkline.stdiobus.sync import StdioBus
from trunkline.stdiobus.types import (
    AuditEvent,
    BackendMode,
    BusConfig,
    BusState,
    BusStats,
    DockerOptions,
    ExtensionInfo,
    HelloParams,
    HelloResult,
    Identity,
    LimitsConfig,
    ListenMode,
    NativeOptions,
    OverflowPolicy,
    PoolConfig,
    RequestOptions,
    StreamEvent,
    StreamEventType,
    SubprocessOptions,
)

__all__ = [
    "AsyncStdioBus",
    "AuditEvent",
    "BackendMode",
    "BusConfig",
    "BusState",
    "BusStats",
    "CancelledError",
    "DockerOptions",
    "ErrorCode",
    "ExtensionInfo",
    "HelloParams",
    "HelloResult",
    "Identity",
    "InternalError",
    "InvalidArgumentError",
    "InvalidStateError",
    "LimitsConfig",
    "ListenMode",
    "NativeOptions",
    "NegotiationFailedError",
    "NotSupportedError",
    "NotificationSubscription",
    "OverflowPolicy",
    "PolicyDeniedError",
    "PoolConfig",
    "ReconnectPolicy",
    "RequestOptions",
    "ResourceExhaustedError",
    "RouterStatus",
    "StdioBus",
    "StdioBusBuilder",
    "StdioBusError",
    "StreamEvent",
    "StreamEventType",
    "SubprocessOptions",
    "TimeoutError",
    "TransportError",
    "UnavailableError",
]
