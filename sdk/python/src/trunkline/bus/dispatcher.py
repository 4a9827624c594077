"""Calls what subscribed, on a thread of its own: a callback may wait, and may use the client that calls it."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Mapping
from typing import Any

from trunkline.bus.operations import Callback
from trunkline.bus.pattern import Pattern

__all__ = ["Dispatcher"]

MAX_HELD = 64 * 1024 * 1024
"""How many bytes of signals may wait for callbacks; what comes then is dropped, and that is logged."""
_GRACE_S = 5.0

_log = logging.getLogger("trunkline.bus")


class Dispatcher:
    """Callbacks by topic or pattern, and the signals that wait for them, in the order in which they came."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._some = threading.Condition(self._lock)
        self._callbacks: dict[Any, list[Callback]] = {}
        self._patterns: dict[Pattern, None] = {}
        self._signals: deque[tuple[Mapping[str, Any], int, Callback | None]] = deque()
        self._held = 0
        self._dropped = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def add(self, topic: Any, callback: Callback) -> bool:
        """Add a callback; tell whether it is new."""
        with self._lock:
            callbacks = self._callbacks.setdefault(topic, [])
            if callback in callbacks:
                return False
            callbacks.append(callback)
            if isinstance(topic, Pattern):
                self._patterns[topic] = None
            return True

    def remove(self, topic: Any, callback: Callback | None = None) -> bool:
        """Remove a callback, or all of a topic; tell whether it was the topic's last."""
        with self._lock:
            callbacks = self._callbacks.get(topic)
            if callbacks is None:
                return False
            if callback is None:
                callbacks.clear()
            elif callback in callbacks:
                callbacks.remove(callback)
            if callbacks:
                return False
            del self._callbacks[topic]
            self._patterns.pop(topic, None)
            return True

    def topics(self) -> list[Any]:
        """Return the topics and patterns that have callbacks."""
        with self._lock:
            return list(self._callbacks)

    def push(self, signal: Mapping[str, Any], size: int, only: Callback | None = None) -> None:
        """Take a signal, for all callbacks of its topic or for one of them."""
        with self._lock:
            if self._closed:
                return
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                self._thread.start()
            if self._signals and self._held + size > MAX_HELD:
                self._dropped += 1
                if self._dropped == 1:
                    _log.warning("callbacks are too slow: %d bytes wait for them, signals are dropped", self._held)
                return
            self._signals.append((signal, size, only))
            self._held += size
            self._some.notify()

    def close(self) -> None:
        """Call nothing any more. What is being called gets a little time to come to its end."""
        with self._lock:
            self._closed = True
            self._signals.clear()
            self._some.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join(_GRACE_S)

    def _run(self) -> None:
        while True:
            with self._some:
                self._some.wait_for(lambda: self._signals or self._closed)
                if self._closed:
                    return
                signal, size, only = self._signals.popleft()
                self._held -= size
                if self._dropped and not self._signals:
                    _log.warning("%d signals were dropped", self._dropped)
                    self._dropped = 0
                callbacks = self._of(signal.get("topic"))
                if only is not None:
                    callbacks = [only] if only in callbacks else []
            for callback in callbacks:
                try:
                    callback(signal.get("topic"), signal.get("data"), signal.get("agent"))
                except Exception:
                    _log.exception("a callback of %r failed", signal.get("topic"))

    def _of(self, topic: Any) -> list[Callback]:
        """Return whom a topic calls, each once; whoever calls holds the lock."""
        found = dict.fromkeys(self._callbacks.get(topic, ()))
        for pattern in self._patterns:
            if pattern.matches(topic):
                found.update(dict.fromkeys(self._callbacks[pattern]))
        return list(found)
