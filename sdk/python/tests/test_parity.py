"""Every public name of the PyPI package is here and can be used the same way."""

from __future__ import annotations

import dataclasses
import enum
import inspect
from importlib.metadata import version
from typing import Any

import pytest
import stdiobus as original

from trunkline import stdiobus as ours

# What ours have beyond the original's; each may be left out.
ADDED = {
    "AsyncStdioBus.__init__": ["reconnect"],
    "StdioBus.__init__": ["reconnect"],
    "RequestOptions.__init__": ["pool"],
}
CLASSES = sorted(name for name in original.__all__ if inspect.isclass(getattr(original, name)))


def methods(kind: type) -> dict[str, Any]:
    """What a class offers, its constructor and its context manager with it."""
    dunder = ("__init__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__aiter__", "__anext__")
    return {
        name: inspect.getattr_static(kind, name)
        for name in dir(kind)
        if (not name.startswith("_") or name in dunder) and inspect.getattr_static(kind, name, None) is not None
    }


def shape(function: Any) -> list[tuple[str, str, Any]]:
    """The parameters of a function: name, kind, default."""
    if isinstance(function, (classmethod, staticmethod)):
        function = function.__func__
    if not inspect.isfunction(function):
        return []

    def default(value: object) -> object:
        if isinstance(value, enum.Enum):
            return str(value.value)
        made = type(value).__name__ == "_HAS_DEFAULT_FACTORY_CLASS"
        return "a new one" if made else value

    parameters = inspect.signature(function).parameters.values()
    return [(one.name, one.kind.name, default(one.default)) for one in parameters]


def test_the_original_is_the_one_that_is_meant() -> None:
    assert version("stdiobus") == "2.2.1"


def test_every_name_is_here() -> None:
    assert set(original.__all__) - set(ours.__all__) == set()
    assert [name for name in ours.__all__ if not hasattr(ours, name)] == []


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_has_the_methods_with_the_signatures(name: str) -> None:
    theirs, mine = methods(getattr(original, name)), methods(getattr(ours, name))
    assert set(theirs) - set(mine) == set()
    for method, function in theirs.items():
        place = f"{name}.{method}"
        expected, found = shape(function), shape(mine[method])
        assert found[: len(expected)] == expected, place
        added = found[len(expected) :]
        assert [one[0] for one in added] == ADDED.get(place, []), place
        assert all(one[2] is not inspect.Parameter.empty for one in added), place


@pytest.mark.parametrize("name", CLASSES)
def test_a_method_is_awaited_iterated_or_called_the_same_way(name: str) -> None:
    theirs, mine = methods(getattr(original, name)), methods(getattr(ours, name))
    for method, function in theirs.items():
        for way in (inspect.iscoroutinefunction, inspect.isasyncgenfunction, inspect.isgeneratorfunction):
            assert way(function) == way(mine[method]), f"{name}.{method}"
        assert isinstance(function, property) == isinstance(mine[method], property), f"{name}.{method}"


@pytest.mark.parametrize("name", [one for one in CLASSES if dataclasses.is_dataclass(getattr(original, one))])
def test_a_value_has_the_fields_in_the_same_order(name: str) -> None:
    expected = [one.name for one in dataclasses.fields(getattr(original, name))]
    found = [one.name for one in dataclasses.fields(getattr(ours, name))]
    assert found[: len(expected)] == expected


@pytest.mark.parametrize("name", [one for one in CLASSES if issubclass(getattr(original, one), enum.Enum)])
def test_an_enumeration_has_the_same_members(name: str) -> None:
    def members(kind: Any) -> dict[str, Any]:
        return {one.name: one.value for one in kind}

    assert members(getattr(ours, name)) == members(getattr(original, name))


@pytest.mark.parametrize("name", [one for one in CLASSES if issubclass(getattr(original, one), Exception)])
def test_an_error_has_the_same_code_and_form(name: str) -> None:
    theirs, mine = getattr(original, name)("message", {"a": 1}), getattr(ours, name)("message", {"a": 1})
    assert (str(mine), mine.to_dict(), int(mine.code)) == (str(theirs), theirs.to_dict(), int(theirs.code))
    assert mine.args == theirs.args


def test_a_configuration_is_written_the_same_way() -> None:
    def written(package: Any) -> str:
        pools = [package.PoolConfig("p", "c", ["--é"], 2), package.PoolConfig(id="q", command="d")]
        config: str = package.BusConfig(pools, package.LimitsConfig(max_restarts=1, drain_timeout_sec=2)).to_json()
        return config

    assert written(ours) == written(original)
