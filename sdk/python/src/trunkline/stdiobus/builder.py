"""A bus in steps, in the manner of the Rust and Node SDKs."""

from __future__ import annotations

from typing import Any

from trunkline.stdiobus.aio import AsyncStdioBus
from trunkline.stdiobus.reconnect import ReconnectPolicy
from trunkline.stdiobus.sync import StdioBus
from trunkline.stdiobus.types import (
    BackendMode,
    BusConfig,
    DockerOptions,
    NativeOptions,
    SubprocessOptions,
)

__all__ = ["StdioBusBuilder"]


class StdioBusBuilder:
    """Collects the arguments of a bus; the last word on each counts. Checks are left to the bus itself."""

    __slots__ = ("_arguments",)

    def __init__(self) -> None:
        self._arguments: dict[str, Any] = {}

    def config(self, config: BusConfig) -> StdioBusBuilder:
        """Set the configuration."""
        return self._with("config", config)

    def config_path(self, path: str) -> StdioBusBuilder:
        """Set the file with the configuration."""
        return self._with("config_path", path)

    def backend(self, mode: BackendMode | str) -> StdioBusBuilder:
        """Set how the router is reached."""
        return self._with("backend", mode)

    def timeout_ms(self, timeout_ms: int) -> StdioBusBuilder:
        """Set the default of every request, in milliseconds."""
        return self._with("timeout_ms", timeout_ms)

    def docker(self, options: DockerOptions) -> StdioBusBuilder:
        """Set the options of the docker backend."""
        return self._with("docker", options)

    def subprocess(self, options: SubprocessOptions) -> StdioBusBuilder:
        """Set the options of the subprocess backend."""
        return self._with("subprocess", options)

    def native(self, options: NativeOptions) -> StdioBusBuilder:
        """Set the options of the native backend."""
        return self._with("native", options)

    def reconnect(self, policy: ReconnectPolicy | None) -> StdioBusBuilder:
        """Set when a lost router is started again; ``None``: never."""
        return self._with("reconnect", policy)

    def build(self) -> AsyncStdioBus:
        """Make the bus for asyncio; raises what its constructor raises."""
        return AsyncStdioBus(**self._arguments)

    def build_sync(self) -> StdioBus:
        """Make the bus whose calls wait; raises what its constructor raises."""
        return StdioBus(**self._arguments)

    def _with(self, name: str, value: object) -> StdioBusBuilder:
        self._arguments[name] = value
        return self
