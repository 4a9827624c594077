"""What httpx says, in our words. Shared by both clients."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
from pydantic import TypeAdapter, ValidationError

import trunkline
from trunkline.hub.call import Call
from trunkline.hub.errors import (
    BrokenError,
    HomeError,
    NotRunningError,
    TimedOutError,
    TrunklineError,
    UnexpectedError,
    UnreachableError,
    problem_from,
)
from trunkline.hub.home import Origin, default_home, discover

__all__ = [
    "AT",
    "check_stream",
    "find",
    "headers",
    "look_again",
    "parse",
    "refusal",
    "timeout",
    "translated",
]

T = TypeVar("T")

AT = "trunkline-at"
"""By this header the daemon says which commit an answer stands for, and is told which one a list must include."""
CONNECT = 5.0
_TOLD = 200


def find(home: str | Path | None, base_url: str | None, token: str | None) -> tuple[Origin, Path | None]:
    """Return where to go, and the home to look into again when the daemon has moved.

    An address without a token is that of the home's daemon if it is the one written there; else nothing is sent to
    open it, and the daemon decides.
    """
    if base_url is None:
        if token is not None:
            raise ValueError("a token needs the base_url that it opens")
        place = default_home() if home is None else Path(home)
        return discover(place), place
    if home is not None:
        raise ValueError("give either the home or the base_url of a daemon")
    base_url = base_url.rstrip("/")
    parts = urlsplit(base_url)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise ValueError(f"{base_url!r} is not of the form http://host:port")
    if token is None:
        place = default_home()
        try:
            origin = discover(place)
        except (HomeError, NotRunningError):
            return Origin(base_url), None
        return (origin, None) if origin.base_url == base_url else (Origin(base_url), None)
    return Origin(base_url, token), None


def look_again(home: Path | None, used: Origin) -> Origin | None:
    """Read the home anew; give where the daemon is now, if that is elsewhere."""
    if home is None:
        return None
    try:
        found = discover(home)
    except TrunklineError:
        return None
    return found if found != used else None


def headers(call: Call, origin: Origin, at: int) -> tuple[dict[str, str], bytes | None]:
    """Return the headers and the body of a request."""
    head = {"accept": "application/json", "user-agent": f"trunkline-python/{trunkline.__version__}", **call.headers}
    if origin.token is not None:
        head["authorization"] = f"Bearer {origin.token}"
    if call.key is not None:
        head["idempotency-key"] = call.key
    if call.method == "GET" and at:
        head[AT] = str(at)
    if call.body is None:
        return head, None
    head["content-type"] = "application/json"
    return head, json.dumps(call.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def timeout(call: Call) -> httpx.Timeout:
    """Return how long httpx is to wait for what."""
    return httpx.Timeout(call.timeout, connect=min(CONNECT, call.timeout), pool=None)


@contextmanager
def translated(base_url: str, seconds: float) -> Iterator[None]:
    """Raise what httpx raises as ours."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise UnreachableError(f"no daemon answers at {base_url}: {error}") from error
    except httpx.TimeoutException as error:
        raise TimedOutError(f"{base_url} did not answer within {seconds:g} s") from error
    except (httpx.LocalProtocolError, httpx.UnsupportedProtocol) as error:
        raise ValueError(f"this cannot be sent: {error}") from error
    except httpx.TransportError as error:
        raise BrokenError(f"the connection to {base_url} broke before the answer was complete: {error}") from error
    except httpx.DecodingError as error:
        raise UnexpectedError(f"the answer of {base_url} is not understood: {error}") from error


def refusal(call: Call, response: httpx.Response) -> TrunklineError:
    """Return the error that an answer without success is; its body must have been read."""
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if isinstance(problem, dict) and isinstance(problem.get("code"), str):
        after = response.headers.get("retry-after", "")
        return problem_from(response.status_code, problem, float(after) if after.isdigit() else None)
    start = "".join(c for c in response.text if c.isprintable())[:_TOLD]
    return UnexpectedError(f"the answer to {call} is not understood: {response.status_code} {start}".rstrip())


def check_stream(call: Call, response: httpx.Response) -> None:
    """Raise if it is no event stream."""
    if not response.headers.get("content-type", "").startswith("text/event-stream"):
        raise UnexpectedError(f"the answer to {call} is not understood: it is no event stream")


def parse(call: Call, kind: type[T], content: bytes) -> T:
    """Read an answer."""
    try:
        adapter: TypeAdapter[T] = _adapter(kind)
        return adapter.validate_json(content)
    except ValidationError as error:
        raise UnexpectedError(f"the answer to {call} is not understood: {error}") from error


_adapters: dict[Any, TypeAdapter[Any]] = {}


def _adapter(kind: type[T]) -> TypeAdapter[T]:
    found = _adapters.get(kind)
    if found is None:
        found = _adapters[kind] = TypeAdapter(kind)
    return found
