"""What can go wrong between a program and the daemon.

A refusal of the daemon is a :class:`ProblemError`, or the subclass that its status or code has; what happened on the
way to the daemon is one of the others. ``passing`` says whether trying again later may help.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trunkline.hub.models import Outcome, Request

__all__ = [
    "BrokenError",
    "ConflictError",
    "DeletedError",
    "ForbiddenError",
    "HomeError",
    "IdempotencyKeyReusedError",
    "InvalidError",
    "NotFoundError",
    "NotRunningError",
    "ProblemError",
    "RequestClosedError",
    "StillOpenError",
    "StillRunningError",
    "TimedOutError",
    "TooLargeError",
    "TooManyError",
    "TrunklineError",
    "TurnRunningError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnexpectedError",
    "UnreachableError",
    "problem_from",
]


class TrunklineError(Exception):
    """The base of all errors here."""

    passing = False
    """Whether it may work when it is tried again later."""


class HomeError(TrunklineError):
    """A file of the home directory cannot be used."""


class UnreachableError(TrunklineError):
    """Nobody listens there. The request was not sent."""

    passing = True


class NotRunningError(UnreachableError):
    """The home directory names no daemon: there is no ``runtime.json`` in it."""


class BrokenError(TrunklineError):
    """The connection broke before the answer was complete: whether the request was carried out is not known."""

    passing = True


class TimedOutError(TrunklineError):
    """No answer came in time: whether the request was carried out is not known."""

    passing = True


class UnexpectedError(TrunklineError):
    """What answers is no Trunkline daemon, or one of another version."""


class StillOpenError(TrunklineError, TimeoutError):
    """The wait is over, and nobody has answered. The request stays open; ``request`` is it."""

    def __init__(self, request: Request) -> None:
        super().__init__(f"nobody has answered {request.title!r} yet")
        self.request = request

    def __reduce__(self) -> tuple[type[StillOpenError], tuple[Request]]:
        return type(self), (self.request,)


class StillRunningError(TrunklineError, TimeoutError):
    """The wait is over, and the turn is not. It goes on."""

    def __init__(self, session: str, turn: int) -> None:
        super().__init__(f"turn {turn} of session {session} has not ended yet")
        self.session = session
        self.turn = turn

    def __reduce__(self) -> tuple[type[StillRunningError], tuple[str, int]]:
        return type(self), (self.session, self.turn)


class ProblemError(TrunklineError):
    """The daemon refused.

    ``code`` is stable and for programs; ``detail`` is for people. ``field`` names what is wrong in the body or the
    query. ``problem`` has everything the daemon said.
    """

    def __init__(self, status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> None:
        self.status = status
        self.problem = dict(problem)
        self.code = str(problem.get("code", ""))
        self.title = str(problem.get("title", ""))
        self.detail = str(problem.get("detail", ""))
        field = problem.get("field")
        self.field: str | None = field if isinstance(field, str) else None
        self.retry_after = retry_after
        super().__init__(self.detail or self.title or f"the daemon refused: {self.code} ({status})")

    def __reduce__(self) -> tuple[type[ProblemError], tuple[int, dict[str, Any], float | None]]:
        return type(self), (self.status, self.problem, self.retry_after)


class InvalidError(ProblemError):
    """The request is not one the daemon can carry out: 400, 415, 422. ``field`` names what is wrong."""


class UnauthenticatedError(ProblemError):
    """No token, or one that does not count (any more): 401."""


class ForbiddenError(ProblemError):
    """This caller may not do it: 403."""


class NotFoundError(ProblemError):
    """There is no such thing: 404."""


class ConflictError(ProblemError):
    """It does not fit how things stand: 409. ``code`` says in what way."""


class TurnRunningError(ConflictError):
    """A turn runs; ``turn`` is its number. Wait for it, cancel it, or queue."""

    @property
    def turn(self) -> int:
        """The turn that runs."""
        return int(self.problem["turn"])


class RequestClosedError(ConflictError):
    """The request has its outcome already; ``closed`` says which, by whom, when."""

    @property
    def closed(self) -> Outcome:
        """The outcome that was there first."""
        from trunkline.hub.models import Outcome  # noqa: PLC0415 - models know the errors

        return Outcome.model_validate(self.problem["closed"])


class IdempotencyKeyReusedError(ConflictError):
    """The key came before, with another body."""


class DeletedError(ProblemError):
    """The session existed and was deleted: 410."""


class TooLargeError(ProblemError):
    """The body is too large: 413."""


class TooManyError(ProblemError):
    """A limit is reached; ``detail`` names it: 429."""

    passing = True


class UnavailableError(ProblemError):
    """The daemon is stopping, or its store does not work: 5xx. Try again in ``retry_after`` seconds."""

    passing = True


_BY_STATUS: dict[int, type[ProblemError]] = {
    400: InvalidError,
    401: UnauthenticatedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: DeletedError,
    413: TooLargeError,
    415: InvalidError,
    422: InvalidError,
    429: TooManyError,
}

_BY_CODE: dict[str, type[ProblemError]] = {
    "idempotency_key_reused": IdempotencyKeyReusedError,
    "request_closed": RequestClosedError,
    "turn_running": TurnRunningError,
}

_SERVER = 500


def problem_from(status: int, problem: Mapping[str, Any], retry_after: float | None = None) -> ProblemError:
    """Make the error that a refusal is raised as."""
    kind = _BY_CODE.get(str(problem.get("code", ""))) or _BY_STATUS.get(status)
    if kind is None:
        kind = UnavailableError if status >= _SERVER else ProblemError
    return kind(status, problem, retry_after)
