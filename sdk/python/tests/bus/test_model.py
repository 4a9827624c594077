"""Keys, lifetimes and owners beside the simplest thing that could be right, while the clock is in the test's hand."""

from __future__ import annotations

import random
from typing import Any

import pytest

from trunkline.bus import Bus, Clock


class Model:
    """One list of rows; what is over is looked for each time."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.now = 0.0

    def live(self, namespace: Any) -> list[dict[str, Any]]:
        self.rows = [row for row in self.rows if row["until"] is None or self.now <= row["until"]]
        return [row for row in self.rows if row["namespace"] == namespace]

    def put(self, key: Any, value: Any, agent: Any, namespace: Any, ttl: Any) -> None:
        until = self.now + ttl if ttl else None
        new = {"value": value, "owner": agent, "until": until}
        for row in self.live(namespace):
            if row["key"] == key:
                row.update(new)
                return
        self.rows.append({"key": key, "namespace": namespace, **new})

    def get(self, key: Any, namespace: Any) -> Any:
        return next((row["value"] for row in self.live(namespace) if row["key"] == key), None)

    def delete(self, key: Any, namespace: Any) -> bool:
        found = [row for row in self.live(namespace) if row["key"] == key]
        self.rows = [row for row in self.rows if row not in found]
        return bool(found)

    def keys(self, namespace: Any, agent: Any) -> list[Any]:
        return [row["key"] for row in self.live(namespace) if agent is None or row["owner"] == agent]

    def clear(self, namespace: Any) -> int:
        gone = self.live(namespace)
        self.rows = [row for row in self.rows if row not in gone]
        return len(gone)

    def restore(self, data: dict[Any, Any], namespace: Any) -> int:
        for key, value in data.items():
            self.put(key, value, None, namespace, None)
        return len(data)

    def transfer(self, old: Any, new: Any, keys: list[Any] | None, namespace: Any) -> list[Any]:
        given = []
        for row in self.live(namespace):
            if row["owner"] == old if keys is None else row["key"] in keys and row["owner"] in (old, None):
                row["owner"] = new
                given.append(row["key"])
        return given


KEYS = ["a", "b", "c", 1, True, 0, None, "1"]
AGENTS = ["x", "y", None]
SPACES = ["default", "n", None]
LIFETIMES = [None, None, 0, 0.5, 1, 2, 7, -1, True]


@pytest.mark.parametrize("seed", range(40))
def test_values_are_as_in_the_model(seed: int) -> None:  # noqa: C901 - a branch for each operation
    draw = random.Random(seed)  # noqa: S311 - no secret
    model = Model()
    with Bus(clock=Clock(elapsed=lambda: model.now)) as bus:
        kept: dict[Any, Any] = {}
        for step in range(400):
            key, agent, space = draw.choice(KEYS), draw.choice(AGENTS), draw.choice(SPACES)
            what = draw.choice(
                ["put"] * 5 + ["get", "delete", "keys", "clear", "restore", "transfer", "wait", "wait"]
            )
            where = f"seed {seed}, step {step}: {what} {key!r} {agent!r} {space!r} at {model.now}"
            if what == "put":
                ttl = draw.choice(LIFETIMES)
                bus.put(key, step, agent, space, ttl)
                model.put(key, step, agent, space, ttl)
            elif what == "get":
                assert bus.get(key, space) == model.get(key, space), where
            elif what == "delete":
                assert bus.delete(key, space) == model.delete(key, space), where
            elif what == "keys":
                assert bus.keys(space, agent) == model.keys(space, agent), where
            elif what == "clear" and draw.random() < 0.2:
                assert bus.clear(space) == model.clear(space), where
            elif what == "restore" and draw.random() < 0.3:
                assert bus.restore(kept, space) == model.restore(kept, space), where
            elif what == "transfer":
                keys = draw.choice([None, draw.sample(KEYS, 3)])
                to = draw.choice(AGENTS)
                assert bus.transfer(agent, to, keys, space) == model.transfer(agent, to, keys, space), where
            elif what == "wait":
                model.now += draw.choice([0.25, 0.5, 1, 3])
            kept = bus.snapshot(space)
            assert list(kept.items()) == [(row["key"], row["value"]) for row in model.live(space)], where
            for owner in AGENTS:
                assert bus.keys(space, owner) == model.keys(space, owner), where
