"""The router in a container, started with the engine's command line and spoken to over TCP."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import tempfile
from pathlib import Path
from typing import cast

from trunkline.stdiobus.backends.base import StreamBackend, logger
from trunkline.stdiobus.errors import (
    InvalidStateError,
    TransportError,
    UnavailableError,
)
from trunkline.stdiobus.router import asks_for_status
from trunkline.stdiobus.types import BusState, DockerOptions

__all__ = ["CONTAINER_PORT", "DockerBackend"]

CONTAINER_PORT = 8765
_CONFIG_IN_CONTAINER = "/app/config.json"

RETRY_SEC = 0.05
# An engine's own proxy accepts for a container that does not listen yet, and hangs up at once.
PROXY_QUIET_SEC = 0.1
ENGINE_OUTPUT_BYTES = 64 * 1024


class DockerBackend(StreamBackend):
    """A container of ``DockerOptions.image`` with the configuration mounted read-only.

    Commands of the engine run as asyncio subprocesses, so a pull of minutes blocks nobody.
    """

    name = "docker"

    def __init__(
        self, config_path: str | None, options: DockerOptions | None = None, config_json: str | None = None
    ) -> None:
        super().__init__()
        self._options = options or DockerOptions()
        self._config_path = Path(config_path).absolute() if config_path else None
        self._config_json = config_json
        # Whose router is in the image cannot be seen from outside. A configuration file that asks for the status was
        # written by somebody who knows; in a configuration in memory it is the SDK itself that asks.
        self._asks_for_status = asks_for_status(config_path, None)
        self._temporary: tempfile.TemporaryDirectory[str] | None = None
        self._container: str | None = None
        self._link: _Link | None = None
        if self._config_path is not None and not self._config_path.exists():
            raise TransportError(f"the configuration {self._config_path} does not exist")
        if shutil.which(self._options.engine_path) is None:
            raise UnavailableError(
                f"the container engine {self._options.engine_path!r} is not installed or not on PATH"
            )

    async def start(self) -> None:
        """See :meth:`Backend.start`.

        Raises:
            UnavailableError: the engine does not work.
            TransportError: the image is missing, or the container did not come up in time.
        """
        if self._state in (BusState.STARTING, BusState.RUNNING, BusState.STOPPING):
            raise InvalidStateError("the router already runs")
        self._state = BusState.STARTING
        self._splitter.reset()
        try:
            await self._check_engine()
            # What may be left of a lost container.
            await self._kill_container()
            await self._pull()
            port = await self._run()
            self._link = await self._connect(port)
        except BaseException:
            self._state = BusState.STOPPED
            await self._kill_container()
            raise
        self._connected()

    async def stop(self, timeout_sec: float = 30.0) -> None:
        """See :meth:`Backend.stop`."""
        if self._state not in (BusState.STARTING, BusState.RUNNING):
            return
        self._state = BusState.STOPPING
        self._stats.client_disconnects += 1
        if self._link is not None:
            self._link.close()
        container, self._container = self._container, None
        if container is not None:
            code, told = await self._engine("stop", "-t", str(max(1, int(timeout_sec))), container)
            if code != 0:
                logger.warning("the container %s could not be stopped: %s", container, told)
        self._forget_config()
        self._state = BusState.STOPPED

    def destroy(self) -> None:
        """See :meth:`Backend.destroy`."""
        self._state = BusState.STOPPED
        if self._link is not None:
            with contextlib.suppress(RuntimeError):
                self._link.close()
        self._kill_container_now()
        self._forget_config()
        self._message_handlers.clear()
        self._close_handlers.clear()

    @property
    def congested(self) -> bool:
        """See :attr:`Backend.congested`."""
        return self._link is not None and self._link.room is not None

    async def drained(self) -> None:
        """See :meth:`Backend.drained`."""
        if self._link is not None and self._link.room is not None:
            await asyncio.wait((self._link.room,))

    def tells_status(self) -> bool:
        """See :meth:`Backend.tells_status`."""
        return self._asks_for_status

    def get_client_count(self) -> int:
        """Return 1 while this bus is connected to the router in the container, else 0."""
        return 1 if self._state == BusState.RUNNING else 0

    async def _check_engine(self) -> None:
        code, told = await self._engine("--version")
        if code != 0:
            raise UnavailableError(f"the container engine does not work: {told}")

    async def _pull(self) -> None:
        image, policy = self._options.image, self._options.pull_policy
        if policy == "never":
            return
        if policy == "if-missing" and (await self._engine("image", "inspect", image))[0] == 0:
            return
        logger.info("pulling %s", image)
        code, told = await self._engine("pull", image)
        if code != 0:
            raise TransportError(f"the image {image} cannot be pulled: {told}")

    async def _run(self) -> int:
        port = _free_port()
        # Several buses of one process are several containers.
        name = f"{self._options.container_name_prefix}-{os.getpid()}-{secrets.token_hex(3)}"
        command = ["run", "--rm", "-d", "--name", name]
        command += ["-p", f"127.0.0.1:{port}:{CONTAINER_PORT}"]
        command += ["-v", f"{self._config_file()}:{_CONFIG_IN_CONTAINER}:ro"]
        for key, value in self._options.env.items():
            command += ["-e", f"{key}={value}"]
        command += [*self._options.extra_args, self._options.image]
        command += ["--config", _CONFIG_IN_CONTAINER, "--tcp", f"0.0.0.0:{CONTAINER_PORT}"]
        code, told = await self._engine(*command)
        if code != 0:
            raise TransportError(f"the container cannot be started: {told}", {"exit_code": code, "stderr": told})
        self._container = told.splitlines()[-1][:12] if told else name
        return port

    async def _connect(self, port: int) -> _Link:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + self._options.startup_timeout_sec
        while loop.time() < deadline:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                _, link = await asyncio.wait_for(
                    loop.create_connection(lambda: _Link(self), "127.0.0.1", port), deadline - loop.time()
                )
                await asyncio.wait((link.gone,), timeout=PROXY_QUIET_SEC)
                if not link.gone.done():
                    return link
            await asyncio.sleep(RETRY_SEC)
        raise TransportError(
            f"the container did not listen within {self._options.startup_timeout_sec} s; {await self._logs()}"
        )

    async def _logs(self) -> str:
        code, told = await self._engine("logs", "--tail", "20", str(self._container))
        return f"it says: {told}" if code == 0 and told else "it says nothing"

    async def _engine(self, *arguments: str) -> tuple[int, str]:
        """Run a command of the engine and return its exit code and what it printed, the errors if it failed."""
        try:
            process = await asyncio.create_subprocess_exec(
                self._options.engine_path,
                *arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as failed:
            raise UnavailableError(f"{self._options.engine_path} cannot be run: {failed}") from failed
        out, err = await process.communicate()
        code = process.returncode or 0
        told = err if code != 0 and err else out
        return code, told[-ENGINE_OUTPUT_BYTES:].decode("utf-8", "replace").strip()

    def _config_file(self) -> Path:
        if self._config_path is not None:
            return self._config_path
        if self._temporary is None:
            self._temporary = tempfile.TemporaryDirectory(prefix="stdio-bus-")
        file = Path(self._temporary.name, "config.json")
        file.write_text(self._config_json or "{}", "utf-8")
        # The container may run as another user; the directory above keeps everybody else out.
        file.chmod(0o644)
        return file

    def _forget_config(self) -> None:
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    async def _kill_container(self) -> None:
        container, self._container = self._container, None
        if container is not None:
            # One that has ended by itself is no error.
            await self._engine("kill", container)

    def _kill_container_now(self) -> None:
        """End the container where there may be no loop to wait on. This blocks as long as the engine takes."""
        container, self._container = self._container, None
        if container is not None:
            with contextlib.suppress(OSError):
                subprocess.run(  # noqa: S603 - the engine is the user's own choice
                    [self._options.engine_path, "kill", container], capture_output=True, check=False
                )

    def _write(self, data: bytes) -> bool:
        return self._link is not None and self._link.write(data)

    def _unsent(self) -> int:
        return self._link.unsent() if self._link is not None else 0

    def _link_gone(self, link: _Link) -> None:
        if link is self._link and self._state == BusState.RUNNING:
            self._lost(TransportError("the connection to the router's container is lost"))


class _Link(asyncio.Protocol):
    """One TCP connection to the router."""

    def __init__(self, backend: DockerBackend) -> None:
        self._backend = backend
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self.gone: asyncio.Future[None] = self._loop.create_future()
        self.room: asyncio.Future[None] | None = None

    def write(self, data: bytes) -> bool:
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(data)
        return True

    def unsent(self) -> int:
        return self._transport.get_write_buffer_size() if self._transport is not None else 0

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._backend._received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self.resume_writing()
        if not self.gone.done():
            self.gone.set_result(None)
        self._backend._link_gone(self)

    def pause_writing(self) -> None:
        if self.room is None:
            self.room = self._loop.create_future()

    def resume_writing(self) -> None:
        if self.room is not None:
            self.room.set_result(None)
            self.room = None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast("int", probe.getsockname()[1])
