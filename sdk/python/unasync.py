"""Makes `trunkline/hub/_sync` from `trunkline/hub/_async`; a test fails when they differ. It needs ruff."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

HUB = Path(__file__).parent / "src" / "trunkline" / "hub"

WORDS = {
    "AsyncBase": "Base",
    "AsyncClient": "Client",
    "AsyncEventStream": "EventStream",
    "AsyncGenerator": "Generator",
    "AsyncIterator": "Iterator",
    "AsyncPause": "Pause",
    "AsyncStream": "Stream",
    "AsyncTransport": "Transport",
    "StopAsyncIteration": "StopIteration",
    "__aenter__": "__enter__",
    "__aexit__": "__exit__",
    "__aiter__": "__iter__",
    "__anext__": "__next__",
    "_async": "_sync",
    "aclose": "close",
    "aiter_raw": "iter_raw",
    "anext": "next",
    "async_way": "way",
    "aread": "read",
}
HEADER = "# Made from trunkline/hub/_async by unasync.py; change it there.\n"


def sync(text: str) -> str:
    """Return a module of the asynchronous client as it is for threads."""
    text = re.sub(r"\basync (def|for|with)\b", r"\1", text)
    text = re.sub(r"\bawait ", "", text)
    text = re.sub(r"\bAsyncGenerator\[(.+), None\]", r"Generator[\1, None, None]", text)
    text = re.sub(r"\bAwaitable\[(\w+)\]", r"\1", text)
    text = text.replace("AsyncGenerator, AsyncIterator,", "Generator, Iterator,")
    text = text.replace("import Awaitable, Callable", "import Callable")
    text = text.replace("with asyncio.", "without asyncio.")
    text = text.replace("\n\n``trunkline/hub/_sync`` is made from this by ``unasync.py``: change it here.\n", "")
    text = HEADER + re.sub(r"\b\w+\b", lambda word: WORDS.get(word[0], word[0]), text)
    ruff = [sys.executable, "-m", "ruff", "format", "--quiet", "--stdin-filename", str(HUB / "module.py"), "-"]
    return subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout  # noqa: S603


def files() -> dict[Path, str]:
    """Return what each file of the synchronous client should be."""
    made = {}
    for path in sorted((HUB / "_async").glob("*.py")):
        text = sync(path.read_text(encoding="utf-8"))
        made[HUB / "_sync" / path.name] = text
    return made


def main() -> None:
    """Write them."""
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
