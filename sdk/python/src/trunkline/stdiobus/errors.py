"""What can go wrong, with the codes that every SDK of ``stdio_bus`` shares.

An error of a JSON-RPC answer whose ``code`` is one of :class:`ErrorCode` is raised as its class; any other code
(the -32xxx of JSON-RPC among them) is an :class:`InternalError` with the answer's own message.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any

__all__ = [
    "CancelledError",
    "ErrorCode",
    "InternalError",
    "InvalidArgumentError",
    "InvalidStateError",
    "NegotiationFailedError",
    "NotSupportedError",
    "PolicyDeniedError",
    "ResourceExhaustedError",
    "StdioBusError",
    "TimeoutError",
    "TransportError",
    "UnavailableError",
    "code_of",
    "error_from_code",
]


class ErrorCode(IntEnum):
    """The shared numbers; they travel in ``error.code``."""

    INVALID_ARGUMENT = 1
    INVALID_STATE = 2
    TIMEOUT = 3
    CANCELLED = 4
    TRANSPORT_ERROR = 5
    NEGOTIATION_FAILED = 6
    POLICY_DENIED = 7
    UNAVAILABLE = 8
    RESOURCE_EXHAUSTED = 9
    NOT_SUPPORTED = 10
    INTERNAL = 99


class StdioBusError(Exception):
    """The base of all errors here.

    ``message`` tells a person what happened; ``details`` is for programs: the ``data`` of a JSON-RPC error, or
    what the raiser documents; ``None`` if there is nothing.
    """

    code: ErrorCode = ErrorCode.INTERNAL

    def __init__(self, message: str, details: Any | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details

    def __str__(self) -> str:
        return f"[{self.code.name}] {self.message}"

    def to_dict(self) -> dict[str, Any]:
        """Return the error as ``{"code", "message"}`` with ``"details"`` if it has any, ready for JSON-RPC."""
        told: dict[str, Any] = {"code": int(self.code), "message": self.message}
        if self.details is not None:
            told["details"] = self.details
        return told


class InvalidArgumentError(StdioBusError):
    """A parameter or an option cannot be meant."""

    code = ErrorCode.INVALID_ARGUMENT


class InvalidStateError(StdioBusError):
    """The call does not fit the state of the bus: not started, stopped, started twice."""

    code = ErrorCode.INVALID_STATE


class TimeoutError(StdioBusError):  # noqa: A001 - the name is the original's
    """The answer did not come in time. The worker may still be at it."""

    code = ErrorCode.TIMEOUT


class CancelledError(StdioBusError):
    """The other side says that the call was cancelled."""

    code = ErrorCode.CANCELLED


class TransportError(StdioBusError):
    """The way to the router failed: it did not start, went away, or the bus was stopped under the call.

    Where a process ended, ``details`` is ``{"exit_code": int | None, "stderr": str}``.
    """

    code = ErrorCode.TRANSPORT_ERROR


class NegotiationFailedError(StdioBusError):
    """The two sides found no common protocol version or extension."""

    code = ErrorCode.NEGOTIATION_FAILED


class PolicyDeniedError(StdioBusError):
    """A policy does not allow the call."""

    code = ErrorCode.POLICY_DENIED


class UnavailableError(StdioBusError):
    """Nobody can take the call now: no worker runs, or the container engine is missing."""

    code = ErrorCode.UNAVAILABLE


class ResourceExhaustedError(StdioBusError):
    """A buffer or a queue is full."""

    code = ErrorCode.RESOURCE_EXHAUSTED


class NotSupportedError(StdioBusError):
    """The other side cannot do this."""

    code = ErrorCode.NOT_SUPPORTED


class InternalError(StdioBusError):
    """A defect, or a code that is none of ours."""

    code = ErrorCode.INTERNAL


_BY_CODE: dict[int, type[StdioBusError]] = {
    int(kind.code): kind
    for kind in (
        InvalidArgumentError,
        InvalidStateError,
        TimeoutError,
        CancelledError,
        TransportError,
        NegotiationFailedError,
        PolicyDeniedError,
        UnavailableError,
        ResourceExhaustedError,
        NotSupportedError,
        InternalError,
    )
}


def error_from_code(code: int, message: str, details: Any | None = None) -> StdioBusError:
    """Make the error that belongs to a code; a foreign code makes an :class:`InternalError`."""
    return _BY_CODE.get(code, InternalError)(message, details)


def code_of(value: object) -> int:
    """Read ``error.code`` of an answer: an integer as it is, anything else as :attr:`ErrorCode.INTERNAL`."""
    return value if isinstance(value, int) and not isinstance(value, bool) else int(ErrorCode.INTERNAL)
