"""The ways to a router, and which one ``auto`` takes."""

from __future__ import annotations

import os

from trunkline.stdiobus.backends.base import Backend
from trunkline.stdiobus.backends.binary import resolve_binary
from trunkline.stdiobus.backends.docker import DockerBackend
from trunkline.stdiobus.backends.native import NativeBackend, is_native_available
from trunkline.stdiobus.backends.subprocess import SubprocessBackend
from trunkline.stdiobus.errors import InvalidArgumentError
from trunkline.stdiobus.types import (
    BackendMode,
    DockerOptions,
    ListenMode,
    NativeOptions,
    SubprocessOptions,
)

__all__ = ["Backend", "DockerBackend", "NativeBackend", "SubprocessBackend", "choose", "is_native_available", "make"]


def choose(mode: BackendMode, subprocess: SubprocessOptions | None, native: NativeOptions | None) -> BackendMode:
    """Say which backend a mode means here.

    ``auto`` is: the native one if a listener is wanted, which no other has; else a child process if there is a
    binary; else the native one if it can be imported (on Windows never); else docker.

    Raises:
        InvalidArgumentError: a listener with a backend that cannot listen.
    """
    listens = native is not None and native.listen_mode != ListenMode.NONE
    if mode != BackendMode.AUTO:
        if listens and mode != BackendMode.NATIVE:
            raise InvalidArgumentError(f"only the native backend can listen, not {mode.value!r}")
        return mode
    if listens:
        return BackendMode.NATIVE
    if resolve_binary((subprocess or SubprocessOptions()).binary_path) is not None:
        return BackendMode.SUBPROCESS
    if os.name == "posix" and is_native_available():
        return BackendMode.NATIVE
    return BackendMode.DOCKER


def make(
    mode: BackendMode,
    config_path: str | None,
    config_json: str | None,
    *,
    docker: DockerOptions | None = None,
    subprocess: SubprocessOptions | None = None,
    native: NativeOptions | None = None,
) -> Backend:
    """Make the backend that :func:`choose` names.

    Raises:
        InvalidArgumentError: it cannot be had here.
        TransportError, UnavailableError: docker was chosen, and the file or the engine is missing.
    """
    chosen = choose(mode, subprocess, native)
    if chosen == BackendMode.SUBPROCESS:
        return SubprocessBackend(config_path, config_json, subprocess)
    if chosen == BackendMode.DOCKER:
        return DockerBackend(config_path, docker, config_json)
    try:
        return NativeBackend(config_path, config_json, native)
    except ImportError as missing:
        raise InvalidArgumentError(
            f"there is no native backend here ({missing}); use 'subprocess' or 'docker'"
        ) from missing
