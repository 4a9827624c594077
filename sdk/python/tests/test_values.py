"""Errors, options, configuration, status: values without behaviour."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from trunkline import stdiobus
from trunkline.stdiobus import (
    BusConfig,
    ErrorCode,
    ExtensionInfo,
    HelloParams,
    HelloResult,
    InternalError,
    LimitsConfig,
    ListenMode,
    NativeOptions,
    PolicyDeniedError,
    PoolConfig,
    ReconnectPolicy,
    RouterStatus,
    StdioBusError,
)
from trunkline.stdiobus.errors import error_from_code
from trunkline.stdiobus.router import asks_for_status, is_ours, with_status


def test_every_code_makes_its_error() -> None:
    made = {code.name: type(error_from_code(int(code), "m")).__name__ for code in ErrorCode}
    assert made == {
        "INVALID_ARGUMENT": "InvalidArgumentError",
        "INVALID_STATE": "InvalidStateError",
        "TIMEOUT": "TimeoutError",
        "CANCELLED": "CancelledError",
        "TRANSPORT_ERROR": "TransportError",
        "NEGOTIATION_FAILED": "NegotiationFailedError",
        "POLICY_DENIED": "PolicyDeniedError",
        "UNAVAILABLE": "UnavailableError",
        "RESOURCE_EXHAUSTED": "ResourceExhaustedError",
        "NOT_SUPPORTED": "NotSupportedError",
        "INTERNAL": "InternalError",
    }
    for code in (-32601, 0, 11):
        assert type(error_from_code(code, "m")) is InternalError


def test_an_error_tells_its_code_message_and_details() -> None:
    error = PolicyDeniedError("not you", {"role": "guest"})
    assert str(error) == "[POLICY_DENIED] not you"
    assert error.to_dict() == {"code": 7, "message": "not you", "details": {"role": "guest"}}
    assert StdioBusError("m").to_dict() == {"code": 99, "message": "m"}


@pytest.mark.parametrize(
    ("config", "complaint"),
    [
        (BusConfig(), "at least one pool"),
        (BusConfig([PoolConfig("", "c")]), "pool 0 has no id"),
        (BusConfig([PoolConfig("p", "")]), "pool 'p' has no command"),
        (BusConfig([PoolConfig("p", "c", instances=0)]), "pool 'p' needs instances >= 1"),
    ],
)
def test_a_configuration_that_cannot_be_meant(config: BusConfig, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        config.validate()


def test_a_configuration_is_written_without_what_is_not_set() -> None:
    config = BusConfig([PoolConfig("p", "c", ["é"], 2)], LimitsConfig(max_restarts=0))
    expected = {
        "pools": [{"id": "p", "command": "c", "args": ["é"], "instances": 2}],
        "limits": {"max_restarts": 0},
    }
    assert json.loads(config.to_json()) == expected
    assert "limits" not in BusConfig([PoolConfig("p", "c")], LimitsConfig()).to_dict()


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (NativeOptions("tcp"), "needs tcp_port"),
        (NativeOptions("tcp", tcp_port=0), r"1\.\.65535, not 0"),
        (NativeOptions("unix"), "needs unix_path"),
        (NativeOptions(poll_interval_ms=0), "at least 1"),
    ],
)
def test_a_listener_that_cannot_be_opened(options: NativeOptions, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        options.validate()


def test_a_listener_by_name() -> None:
    assert NativeOptions("unix", unix_path="/s").listen_mode is ListenMode.UNIX
    with pytest.raises(ValueError, match="none, tcp or unix"):
        NativeOptions("carrier pigeon")


def test_hello_goes_out_and_comes_back() -> None:
    params = HelloParams("0.2", {"audit": ExtensionInfo("1", required=True)})
    assert params.to_dict() == {
        "protocolVersion": "0.2",
        "extensions": {"audit": {"version": "1", "required": True}},
    }
    told = {
        "negotiatedProtocolVersion": "0.2",
        "sessionId": "s",
        "extensions": {"audit": {"selected": "1", "active": True}},
    }
    assert HelloResult.from_dict(told) == HelloResult("0.2", "s", {"audit": ExtensionInfo("1", active=True)})
    assert HelloResult.from_dict({}) == HelloResult("", "")


def test_the_router_is_started_again_sooner_first_and_a_few_times() -> None:
    policy = ReconnectPolicy(max_attempts=5, first_delay_sec=0.5, max_delay_sec=3.0)
    assert [policy.delay_before(attempt) for attempt in range(1, 7)] == [0.5, 1.0, 2.0, 3.0, 3.0, None]


def test_the_wish_for_status_is_read_from_where_the_configuration_is(tmp_path: Path) -> None:
    wished = with_status(BusConfig([PoolConfig("p", "c")]).to_dict())
    assert asks_for_status(None, wished)
    file = tmp_path / "config.json"
    for text, asks in [
        ('{"status":true}', True),
        ('{"status":1}', False),
        ("{}", False),
        ("[]", False),
        ("x", False),
    ]:
        file.write_text(text)
        assert asks_for_status(str(file), None) is asks, text
    assert not asks_for_status(str(tmp_path / "missing"), None)


def test_our_router_is_known_by_its_first_line() -> None:
    assert is_ours("[2026-01-01T00:00:00] [INFO] stdio_bus 0.1.0 starting")
    assert not is_ours("[2026-01-01T00:00:00] [INFO] stdio Bus kernel v0.1.0 starting on linux")


def test_a_status_counts_the_workers_of_all_pools() -> None:
    workers = [{"state": "up", "restarts": 2}, {"state": "half-open", "restarts": 1}, {"state": "waiting"}]
    told = {
        "pools": [{"id": "p", "workers": workers}, {"id": "q", "workers": [{"state": "gone"}]}],
        "clients": 1,
        "sessions": 4,
        "pending": 5,
        "errors": {"UNAVAILABLE": 2, "INVALID_ARGUMENT": 3},
    }
    expected = RouterStatus(workers=2, sessions=4, pending=5, clients=1, worker_restarts=3, routing_errors=5)
    status = RouterStatus.from_dict(told)
    assert status == expected
    assert status.told is told
    assert RouterStatus.from_dict({}) == RouterStatus(workers=0)


def test_the_package_imports_nothing_from_outside_the_standard_library() -> None:
    source = Path(stdiobus.__file__).parent
    imported = {
        line.split()[1].split(".")[0]
        for file in source.rglob("*.py")
        for line in file.read_text("utf-8").splitlines()
        if line.startswith(("import ", "from "))
    }
    assert imported - sys.stdlib_module_names == {"trunkline"}
