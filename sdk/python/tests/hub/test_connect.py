"""How a client finds its daemon, and what it says when there is none."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import trunkline
from hub.daemon import Daemon
from trunkline.hub.home import discover


def test_the_home_of_the_environment(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_HOME", str(daemon.home))
    with trunkline.Client() as client:
        assert client.me().principal == "owner"
        assert client.health().service == "trunkline"


def test_the_socket_comes_before_the_port(daemon: Daemon, tmp_path: Path) -> None:
    # A port that nobody listens on would be refused.
    home = Path(daemon.root / "copy")
    home.mkdir()
    (home / "runtime.json").write_text(json.dumps({"base_url": "http://127.0.0.1:1", "port": 1}))
    (home / "token").write_text(daemon.token + "\n")
    with trunkline.Client(home) as client, pytest.raises(trunkline.UnreachableError) as unreachable:
        client.me()
    assert unreachable.value.passing
    (home / "run").symlink_to(daemon.home / "run")
    with trunkline.Client(home) as client:
        assert client.me().principal == "owner"


def test_an_address_and_a_token(daemon: Daemon) -> None:
    base_url = discover(daemon.home).base_url
    with trunkline.Client(base_url=base_url + "/", token=daemon.token) as client:
        assert client.base_url == base_url
        assert client.me().scope == "admin"
    with trunkline.Client(base_url=base_url, token="no") as client:
        with pytest.raises(trunkline.UnauthenticatedError) as refused:
            client.me()
        assert (refused.value.status, refused.value.code) == (401, "unauthenticated")


def test_an_address_alone_is_the_daemon_of_the_home(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRUNKLINE_HOME", str(daemon.home))
    with trunkline.Client(base_url=discover(daemon.home).base_url) as client:
        assert client.me().principal == "owner"
    monkeypatch.setenv("TRUNKLINE_HOME", str(daemon.root / "nothing"))
    with (
        trunkline.Client(base_url=discover(daemon.home).base_url) as client,
        pytest.raises(trunkline.UnauthenticatedError),
    ):
        client.me()


def test_no_daemon(tmp_path: Path) -> None:
    with pytest.raises(trunkline.NotRunningError, match="no daemon runs in"):
        trunkline.Client(tmp_path)
    (tmp_path / "runtime.json").write_text("{")
    with pytest.raises(trunkline.HomeError, match=r"runtime\.json"):
        trunkline.Client(tmp_path)
    (tmp_path / "runtime.json").write_text('{"base_url": "http://127.0.0.1:1"}')
    with pytest.raises(trunkline.HomeError, match="token"):
        trunkline.Client(tmp_path)


@pytest.mark.parametrize("address", ["", "127.0.0.1:1", "unix:/x", "http://", "http://x?y"])
def test_what_is_no_address(address: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        trunkline.Client(base_url=address, token="t")


def test_a_token_without_an_address() -> None:
    with pytest.raises(ValueError, match="base_url"):
        trunkline.Client(token="t")


def test_refusals_are_typed(client: trunkline.Client, bot: trunkline.Session) -> None:
    with pytest.raises(trunkline.NotFoundError) as missing:
        client.session("01a1fde5-1f81-779a-815b-86289cbee799")
    assert missing.value.code == "not_found"
    with pytest.raises(trunkline.InvalidError) as invalid:
        client.create_request(bot, "")
    assert invalid.value.field == "title"
    with pytest.raises(trunkline.ConflictError) as external:
        client.prompt(bot, "hello")
    assert external.value.code == "session_external"
    client.create_request(bot, "One?", idempotency_key="refusals-1")
    with pytest.raises(trunkline.IdempotencyKeyReusedError):
        client.create_request(bot, "Another?", idempotency_key="refusals-1")
    client.delete_session(bot)
    with pytest.raises(trunkline.DeletedError) as deleted:
        client.session(bot)
    assert deleted.value.status == 410
    again = pickle.loads(pickle.dumps(deleted.value))  # noqa: S301 - what we have made ourselves
    assert (type(again), str(again), again.code) == (trunkline.DeletedError, str(deleted.value), "deleted")


def test_one_part_does_not_load_the_other() -> None:
    words = "import sys, trunkline.stdiobus; print('httpx' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", words], text=True) == "False\n"
