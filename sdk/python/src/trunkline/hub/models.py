"""What the daemon says, as types.

Members that a newer daemon adds are kept (``model_extra``), and words that are not known here are passed on as they
came. Times are aware :class:`~datetime.datetime` values in UTC.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Annotated, Any, Generic, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

__all__ = [
    "Agent",
    "Answer",
    "Attached",
    "CatalogEntry",
    "Choice",
    "Ended",
    "Event",
    "EventPage",
    "Grant",
    "Health",
    "Me",
    "Message",
    "OnTimeout",
    "Outcome",
    "Page",
    "Priority",
    "Request",
    "RequestKind",
    "RequestStatus",
    "Scope",
    "Session",
    "SessionState",
    "Time",
    "Token",
    "Turn",
    "Usage",
    "Waiting",
    "millis",
]

T = TypeVar("T")

SessionState: TypeAlias = Literal["idle", "running", "waiting", "stopping", "failed", "closed"]
RequestStatus: TypeAlias = Literal["open", "dismissed", "answered", "expired", "cancelled", "superseded"]
RequestKind: TypeAlias = Literal["permission", "question", "form"]
Priority: TypeAlias = Literal["low", "normal", "high", "urgent"]
OnTimeout: TypeAlias = Literal["wait", "deny", "escalate"] | dict[str, Any]
"""What happens at the deadline; ``{"default": {"option": "no"}}`` answers."""
Scope: TypeAlias = Literal["viewer", "operator", "admin"] | dict[str, str]
"""What a token opens; ``{"agent": <session>}`` opens one session, for the agent in it."""

_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def millis(at: datetime) -> int:
    """Return a time as the API counts it. A time without a zone is local, as everywhere in Python."""
    return (at.astimezone(timezone.utc) - _EPOCH) // timedelta(milliseconds=1)


def _time(value: object) -> object:
    return _EPOCH + timedelta(milliseconds=value) if isinstance(value, int) else value


Time = Annotated[datetime, BeforeValidator(_time), PlainSerializer(millis, when_used="json")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True)


class Page(_Model, Generic[T]):
    """A page of a list."""

    items: list[T]
    next: str | None = None
    """The ``cursor`` of the next page; ``None`` on the last."""
    at: int | None = None
    """From here the feed goes on without a gap."""


class Health(_Model):
    """What the daemon says of itself."""

    status: str
    uptime: float
    service: str = ""
    version: str = ""
    confined: bool = False


class Me(_Model):
    """Who the caller is to the daemon."""

    principal: str
    scope: Any


class Session(_Model):
    """A session as lists show it."""

    id: str
    state: str
    """One of :data:`SessionState`."""
    agent: str
    driver: str
    """``external`` for an agent that runs elsewhere."""
    created_at: Time
    created_by: str
    updated_at: Time
    title: str | None = None
    workspace: str | None = None
    project: str | None = None
    metadata: dict[str, Any] | None = None
    turn: int | None = None
    """The turn that runs."""
    turns: int = 0
    queued: int = 0
    """How many prompts wait."""
    pending: int = 0
    """How many requests are open."""
    last_stop_reason: str | None = None
    last_error: str | None = None


class Event(_Model):
    """A line of a session's log; ``docs/guide/events.md`` says what ``data`` has."""

    type: str
    seq: int
    at: Time
    by: str
    turn: int | None = None
    key: Any = None
    """The idempotency key of the command that caused it, and which of its events this is."""
    data: Annotated[dict[str, Any], BeforeValidator(lambda value: {} if value is None else value)] = Field(
        default_factory=dict
    )

    @property
    def text(self) -> str:
        """What the agent says here; empty if this is anything else."""
        update = self.data.get("update") if self.type == "turn.update" else None
        if not isinstance(update, dict) or update.get("sessionUpdate") != "agent_message_chunk":
            return ""
        content = update.get("content")
        text = content.get("text") if isinstance(content, dict) else None
        return text if isinstance(text, str) else ""


class EventPage(_Model):
    """A page of a session's log."""

    items: list[Event]
    first: int
    """The first event the daemon still has."""
    head: int
    """The last event there is."""
    more: bool
    """Whether there are events behind this page."""
    gap: bool = False
    """Whether events between ``after`` and this page are no longer kept."""


class Usage(_Model):
    """What a turn took, as far as the agent told."""

    input: int | None = None
    output: int | None = None
    cache_read: int | None = None
    cache_write: int | None = None
    thought: int | None = None
    cost: float | None = None


class Ended(_Model):
    """How a turn ended."""

    stop_reason: str
    duration_ms: int
    error: str | None = None
    usage: Usage | None = None


class Turn(_Model):
    """Where a turn stands."""

    turn: int
    session: str
    state: str
    """``queued``, ``running``, ``stopping``, ``ended`` or ``unqueued``."""
    ended: Ended | None = None


class Waiting(_Model):
    """A prompt that waits."""

    turn: int
    prompt: list[dict[str, Any]]
    by: str
    at: Time


class Choice(_Model):
    """An answer that a request offers."""

    id: str
    name: str
    kind: str = "choice"
    """``allow_once``, ``allow_always``, ``reject_once``, ``reject_always`` or ``choice``."""


class Answer(_Model):
    """What somebody answered: the ``id`` of an option, a text, or the fields of a form."""

    option: str | None = None
    text: str | None = None
    fields: Any = None


class Outcome(_Model):
    """The one outcome of a request."""

    outcome: str
    """``answered``, ``expired``, ``cancelled`` or ``superseded``."""
    by: str
    at: Time
    answer: Answer | None = None


class Request(_Model):
    """Something that a person has to decide or say."""

    id: str
    session: str
    agent: str
    status: str
    """One of :data:`RequestStatus`."""
    kind: str
    title: str
    priority: str
    created_at: Time
    created_by: str
    question: str = ""
    options: list[Choice] = Field(default_factory=list)
    # `schema` is a method of pydantic's models.
    form_schema: Any = Field(default=None, alias="schema")
    """JSON Schema of a form's answer."""
    context: Any = None
    tags: list[str] | None = None
    tool: str | None = None
    tool_call: Any = None
    turn: int | None = None
    deadline: Time | None = None
    on_timeout: Any = "wait"
    workspace: str | None = None
    project: str | None = None
    closed: Outcome | None = None

    @property
    def is_closed(self) -> bool:
        """Whether it has its outcome. One that was dismissed can still be answered."""
        return self.closed is not None

    @property
    def answer(self) -> Answer | None:
        """What was answered, by a person or by default; ``None`` if nothing was."""
        return self.closed.answer if self.closed else None


class Message(_Model):
    """A message in the inbox of an agent that runs elsewhere."""

    id: str
    kind: str
    """``request.closed`` for the outcome of a request; its payload has ``id``, ``outcome`` and ``answer``."""
    payload: Any
    seq: int
    at: Time
    delivered_at: Time | None = None

    def closes(self, request: Request | str) -> bool:
        """Whether it tells the outcome of this request."""
        request_id = request if isinstance(request, str) else request.id
        return (
            self.kind == "request.closed" and isinstance(self.payload, dict) and self.payload.get("id") == request_id
        )

    @property
    def answer(self) -> Answer | None:
        """The answer that it brings, if it brings one."""
        if self.kind != "request.closed" or not isinstance(self.payload, dict) or not self.payload.get("answer"):
            return None
        return Answer.model_validate(self.payload["answer"])


class Grant(_Model):
    """A standing permission for a tool of a session."""

    id: str
    tool: str
    expires: Time | None = None
    unconfined: bool = False
    """Whether it also counts while nothing confines the agent."""
    by: str | None = None
    at: Time | None = None


class Attached(_Model):
    """A client that follows a session."""

    client: int
    principal: str
    name: str
    since: Time


class CatalogEntry(_Model):
    """An agent one can run."""

    name: str
    driver: str
    found: bool
    title: str = ""
    argv: list[str] = Field(default_factory=list)
    path: str | None = None
    why: str | None = None
    """Why it cannot be run here, and what to do."""


class Agent(_Model):
    """A process of an agent."""

    session: str
    agent: str
    incarnation: int
    pid: int | None = None
    turn: int | None = None


class Token(_Model):
    """A token. ``token`` is its secret, told once, when it is made."""

    id: str
    name: str
    scope: Any
    expires: Time | None = None
    created_at: Time | None = None
    created_by: str | None = None
    token: str | None = Field(default=None, repr=False)
