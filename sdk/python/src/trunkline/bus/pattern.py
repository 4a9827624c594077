"""Which topics somebody subscribes to."""

from __future__ import annotations

from typing import Any

__all__ = ["OWN", "Pattern", "wanted"]

OWN = "__bus__."
"""What the bus's own topics begin with. Only the bus publishes there, so that they can be believed."""


class Pattern:
    """Stands for topics. Words are joined by ``.``; ``*`` is any one word, and ``>``, the last, is one or more.

    The bus's own topics are not meant: they are subscribed to by their names.
    """

    def __init__(self, text: Any) -> None:
        if not isinstance(text, str):
            raise TypeError(f"a pattern is a text, not {text!r}")
        self._words = text.split(".")
        if ">" in self._words[:-1]:
            raise ValueError(f"{text!r} is no pattern: > may be its last word only")
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Pattern) and self.text == other.text

    def __hash__(self) -> int:
        return hash((Pattern, self.text))

    @property
    def wild(self) -> bool:
        """Tell whether it stands for more than the one topic of its name."""
        return "*" in self._words or ">" in self._words

    def matches(self, topic: Any) -> bool:
        """Tell whether it stands for a topic."""
        if not isinstance(topic, str) or topic.startswith(OWN):
            return False
        words = topic.split(".")
        if self._words[-1] == ">":
            fixed = self._words[:-1]
            if len(words) <= len(fixed):
                return False
            words = words[: len(fixed)]
        else:
            fixed = self._words
        return len(words) == len(fixed) and all(a in ("*", b) for a, b in zip(fixed, words, strict=True))


def wanted(topic: Any, wildcard: Any) -> Any:
    """Return what a subscription is to: a pattern, or a topic."""
    if not wildcard:
        return topic
    pattern = Pattern(topic)
    return pattern if pattern.wild else topic
