"""The router inside this process, where somebody has built it.

This package ships no native library. What it can load is the compiled module of the original package,
``stdiobus.native._ffi``, with its C functions; the import is tried when a native backend is asked for and not
before. Every call into the library happens on the event loop's thread, as the library demands.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
from collections.abc import Callable
from typing import Any

from trunkline.stdiobus.backends.base import Backend, logger
from trunkline.stdiobus.errors import InvalidStateError, TransportError
from trunkline.stdiobus.types import BusState, BusStats, ListenMode, NativeOptions

__all__ = ["NativeBackend", "is_native_available"]

_MODULE = "stdiobus.native._ffi"
_LOG_LEVEL_WARN = 2
_STOP_STEP_SEC = 0.001


def is_native_available() -> bool:
    """Tell whether a native library can be imported."""
    return _load() is not None


def _load() -> Any | None:
    try:
        return importlib.import_module(_MODULE)
    except ImportError:
        return None


class NativeBackend(Backend):
    """The library, stepped whenever its descriptor is ready, or on a timer where it has none."""

    name = "native"

    def __init__(
        self,
        config_path: str | None = None,
        config_json: str | None = None,
        options: NativeOptions | None = None,
    ) -> None:
        module = _load()
        if module is None:
            raise ImportError(f"{_MODULE} cannot be imported")
        self._ffi: Any = module.ffi
        self._lib: Any = module.lib
        self._options = options or NativeOptions()
        self._config_path = config_path
        self._config_json = config_json
        self._bus: Any = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._descriptor: int | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stepping = False
        self._kept: list[Any] = []
        self._started = False
        self._stats = BusStats()
        self._message_handlers: list[Callable[[str], None]] = []

    async def start(self) -> None:
        """See :meth:`Backend.start`."""
        if self._started:
            raise InvalidStateError("the router already runs")
        self._started = True
        self._loop = asyncio.get_running_loop()
        bus = self._lib.stdio_bus_create(self._made_options())
        if bus == self._ffi.NULL:
            raise TransportError("the native router refuses its configuration; its reason is in the log")
        self._bus = bus
        code = self._lib.stdio_bus_start(bus)
        if code != self._lib.STDIO_BUS_OK:
            self.destroy()
            raise TransportError(f"the native router did not start, error {code}")
        descriptor = self._lib.stdio_bus_get_poll_fd(bus)
        if descriptor >= 0:
            self._descriptor = descriptor
            self._loop.add_reader(descriptor, self._step)
        else:
            self._tick()

    async def stop(self, timeout_sec: float = 30.0) -> None:
        """See :meth:`Backend.stop`. The library is stepped in between, so the loop goes on meanwhile."""
        if self._bus is None or self._loop is None:
            return
        self._detach()
        self._lib.stdio_bus_stop(self._bus, max(1, int(timeout_sec)))
        deadline = self._loop.time() + timeout_sec
        while self.get_state() != BusState.STOPPED and self._loop.time() < deadline:
            self._lib.stdio_bus_step(self._bus, 0)
            await asyncio.sleep(_STOP_STEP_SEC)
            if self._bus is None:
                return

    def send(self, message: str) -> bool:
        """See :meth:`Backend.send`."""
        if self._bus is None or self._loop is None:
            return False
        data = message.rstrip("\n").encode()
        if self._lib.stdio_bus_ingest(self._bus, data, len(data)) != self._lib.STDIO_BUS_OK:
            return False
        self._stats.messages_in += 1
        self._stats.bytes_in += len(data)
        self._loop.call_soon(self._step)
        return True

    def on_message(self, handler: Callable[[str], None]) -> None:
        """See :meth:`Backend.on_message`."""
        self._message_handlers.append(handler)

    def on_close(self, handler: Callable[[TransportError], None]) -> None:
        """Do nothing: a router inside this process is not lost but with it."""

    def get_state(self) -> BusState:
        """See :meth:`Backend.get_state`."""
        if self._bus is None:
            return BusState.STOPPED if self._started else BusState.CREATED
        return BusState(int(self._lib.stdio_bus_get_state(self._bus)))

    def get_stats(self) -> BusStats:
        """See :meth:`Backend.get_stats`. The library's own, once it runs."""
        if self._bus is not None:
            told = self._ffi.new("stdio_bus_stats_t*")
            self._lib.stdio_bus_get_stats(self._bus, told)
            names = [one.name for one in dataclasses.fields(BusStats)]
            self._stats = BusStats(**{name: int(getattr(told, name)) for name in names})
        return dataclasses.replace(self._stats)

    def get_listen_mode(self) -> ListenMode:
        """See :meth:`Backend.get_listen_mode`."""
        return ListenMode(self._options.listen_mode)

    def get_worker_count(self) -> int:
        """See :meth:`Backend.get_worker_count`."""
        return 0 if self._bus is None else int(self._lib.stdio_bus_worker_count(self._bus))

    def get_client_count(self) -> int:
        """See :meth:`Backend.get_client_count`: clients of the listener, this program not among them."""
        return 0 if self._bus is None else int(self._lib.stdio_bus_client_count(self._bus))

    def destroy(self) -> None:
        """See :meth:`Backend.destroy`."""
        self._detach()
        bus, self._bus = self._bus, None
        if bus is not None:
            self._lib.stdio_bus_destroy(bus)
        self._kept.clear()
        self._message_handlers.clear()

    def _made_options(self) -> Any:
        ffi, lib, options = self._ffi, self._lib, self._options
        made = ffi.new("stdio_bus_options_t*")
        if self._config_path is not None:
            made.config_path = self._text(self._config_path)
        else:
            made.config_json = self._text(self._config_json or "")
        made.on_message = self._callback("void(stdio_bus_t*, const char*, size_t, void*)", self._on_message)
        made.on_error = self._callback("void(stdio_bus_t*, int, const char*, void*)", self._on_error)
        made.on_log = self._callback("void(stdio_bus_t*, int, const char*, void*)", self._on_log)
        made.log_level = _LOG_LEVEL_WARN
        if options.listen_mode == ListenMode.TCP:
            made.listener.mode = lib.STDIO_BUS_LISTEN_TCP
            made.listener.tcp_host = self._text(options.tcp_host)
            made.listener.tcp_port = options.tcp_port
        elif options.listen_mode == ListenMode.UNIX:
            made.listener.mode = lib.STDIO_BUS_LISTEN_UNIX
            made.listener.unix_path = self._text(options.unix_path or "")
        return made

    def _text(self, value: str) -> Any:
        return self._keep(self._ffi.new("char[]", value.encode()))

    def _callback(self, signature: str, function: Callable[..., None]) -> Any:
        return self._keep(self._ffi.callback(signature, function))

    def _keep(self, value: Any) -> Any:
        """Hold on to what the library has a pointer to."""
        self._kept.append(value)
        return value

    def _on_message(self, _bus: Any, data: Any, length: int, _user: Any) -> None:
        line = bytes(self._ffi.buffer(data, length)).decode("utf-8", "replace")
        for handler in self._message_handlers:
            handler(line)

    def _on_error(self, _bus: Any, code: int, words: Any, _user: Any) -> None:
        logger.error("native router, error %s: %s", code, self._words(words))

    def _on_log(self, _bus: Any, level: int, words: Any, _user: Any) -> None:
        if level >= _LOG_LEVEL_WARN:
            logger.warning("native router: %s", self._words(words))

    def _words(self, pointer: Any) -> str:
        return "" if pointer == self._ffi.NULL else self._ffi.string(pointer).decode("utf-8", "replace")

    def _tick(self) -> None:
        self._step()
        if self._loop is not None and self._bus is not None:
            self._timer = self._loop.call_later(self._options.poll_interval_ms / 1000, self._tick)

    def _step(self) -> None:
        # A message handler may send, and the library must not be entered from within itself.
        if self._bus is None or self._stepping:
            return
        self._stepping = True
        try:
            self._lib.stdio_bus_step(self._bus, 0)
        finally:
            self._stepping = False

    def _detach(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._descriptor is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._descriptor)
        self._descriptor = None
