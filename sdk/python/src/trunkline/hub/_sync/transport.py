# Made from trunkline/hub/_async by unasync.py; change it there.
"""Carrying calls to the daemon and answers back."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TypeVar

import httpx

from trunkline.hub import wire
from trunkline.hub.call import Call
from trunkline.hub.errors import BrokenError, UnreachableError
from trunkline.hub.home import Origin
from trunkline.hub.ways import way

__all__ = ["Transport"]

T = TypeVar("T")


class Transport:
    """Connections to one daemon, wherever it moves."""

    def __init__(self, origin: Origin, home: Path | None) -> None:
        self._home = home
        self._lock = threading.Lock()
        self._way = (origin, way(origin))
        # Ways that were given up while somebody may still have been on them.
        self._old: list[httpx.Client] = []
        # The newest commit this client has seen: lists it asks for include it.
        self._at = 0

    @property
    def base_url(self) -> str:
        """Where the daemon is."""
        return self._way[0].base_url

    def close(self) -> None:
        """Close all connections."""
        for http in [*self._old, self._way[1]]:
            http.close()

    def json(self, call: Call, kind: type[T]) -> T:
        """Send a call and read its answer."""
        return wire.parse(call, kind, self.content(call))

    def content(self, call: Call) -> bytes:
        """Send a call and give its answer as it came."""
        try:
            return self._once(call)
        except BrokenError:
            # Most likely because the daemon was restarted: once more, if that is harmless.
            if not call.may_repeat:
                raise
        return self._once(call)

    def open(self, call: Call) -> httpx.Response:
        """Send a call and give the answer as soon as it begins. Whoever gets it closes it."""
        response = self._send(call)
        if response.is_success:
            return response
        try:
            with wire.translated(self.base_url, call.timeout):
                response.read()
        finally:
            response.close()
        raise wire.refusal(call, response)

    def _once(self, call: Call) -> bytes:
        response = self.open(call)
        try:
            with wire.translated(self.base_url, call.timeout):
                return response.read()
        finally:
            response.close()

    def _send(self, call: Call) -> httpx.Response:
        origin, http = self._way
        try:
            return self._send_by(origin, http, call)
        except UnreachableError:
            found = wire.look_again(self._home, origin)
            if found is None:
                raise
        origin, http = self._move(found)
        return self._send_by(origin, http, call)

    def _send_by(self, origin: Origin, http: httpx.Client, call: Call) -> httpx.Response:
        headers, content = wire.headers(call, origin, self._at)
        with wire.translated(origin.base_url, call.timeout):
            request = http.build_request(
                call.method, origin.base_url + call.path, headers=headers, content=content, timeout=wire.timeout(call)
            )
            response = http.send(request, stream=True)
        at = response.headers.get(wire.AT, "")
        if at.isdigit():
            with self._lock:
                self._at = max(self._at, int(at))
        return response

    def _move(self, found: Origin) -> tuple[Origin, httpx.Client]:
        with self._lock:
            if self._way[0] != found:
                self._old.append(self._way[1])
                self._way = (found, way(found))
            return self._way
