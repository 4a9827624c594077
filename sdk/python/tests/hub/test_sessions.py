"""Sessions, their turns and logs."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

import trunkline
from hub.daemon import Daemon


def hosted(daemon: Daemon, client: trunkline.Client, pace: int = 1) -> trunkline.Session:
    return client.create_session("quick", argv=daemon.demo(pace), workspace=daemon.work)


def allow_all(client: trunkline.Client, session: trunkline.Session, turn: trunkline.Turn) -> trunkline.Turn:
    """Answer what the demo agent asks, until its turn has ended."""
    with client.attach(session, turn.turn) as stream:
        for item in stream:
            if item.type == "request.opened" and isinstance(item, trunkline.Event):
                client.answer(item.data["id"], "allow")
            if item.type == "turn.ended":
                break
    return client.turn(session, turn)


def test_the_life_of_a_session(client: trunkline.Client, daemon: Daemon) -> None:
    session = client.create_session("demo", workspace=daemon.work, title="Hello", metadata={"ticket": 1})
    assert (session.state, session.agent, session.title) == ("idle", "demo", "Hello")
    assert abs(session.created_at - datetime.now(timezone.utc)) < timedelta(minutes=5)
    changed = client.update_session(session, title="Greeting")
    assert (changed.title, changed.metadata) == ("Greeting", {"ticket": 1})
    assert client.session(session.id) == changed
    assert client.close_session(session).state == "closed"
    with pytest.raises(trunkline.ConflictError):
        client.prompt(session, "hello")


def test_lists_come_in_pages(client: trunkline.Client) -> None:
    made = [client.register("paged", title=str(number)).id for number in range(5)]
    page = client.sessions_page(agent="paged", limit=2)
    assert [session.id for session in page.items] == made[:2:-1]
    assert page.next is not None
    assert page.at is not None
    rest = client.sessions_page(agent="paged", cursor=page.next)
    assert [session.id for session in [*page.items, *rest.items]] == made[::-1]
    assert [session.id for session in client.sessions(agent="paged")] == made[::-1]
    assert list(client.sessions(agent="paged", state="closed")) == []


def test_the_same_key_makes_one_session(client: trunkline.Client) -> None:
    first = client.register("once", idempotency_key="once-1")
    assert client.register("once", idempotency_key="once-1").id == first.id


def test_a_turn(client: trunkline.Client, daemon: Daemon) -> None:
    session = hosted(daemon, client)
    turn = client.prompt(session, "look around", timeout=600)
    assert turn.state == "running"
    ended = allow_all(client, session, turn)
    assert ended == client.wait_for_turn(session, turn)
    assert ended.ended is not None
    assert ended.ended.stop_reason == "end_turn"
    said = "".join(event.text for event in client.events(session).items)
    assert "no model was asked" in said


def test_queue_and_cancel(client: trunkline.Client, daemon: Daemon) -> None:
    session = hosted(daemon, client)
    turn = client.prompt(session, "one")
    with pytest.raises(trunkline.TurnRunningError) as running:
        client.prompt(session, "two")
    assert running.value.turn == turn.turn
    waiting = client.prompt(session, [{"type": "text", "text": "two"}], queue=True)
    taken_back = client.prompt(session, "three", queue=True)
    assert [one.turn for one in client.queue(session)] == [waiting.turn, taken_back.turn]
    assert client.queue(session)[0].prompt == [{"type": "text", "text": "two"}]
    client.unqueue(session, taken_back)
    assert client.wait_for_turn(session, taken_back).state == "unqueued"
    with pytest.raises(trunkline.NotFoundError):
        client.wait_for_turn(session, 1)
    with pytest.raises(trunkline.StillRunningError):
        client.wait_for_turn(session, turn, timeout=0.05)
    assert client.cancel(session, turn) == turn.turn
    ended = client.wait_for_turn(session, turn).ended
    assert ended is not None
    assert ended.stop_reason == "cancelled"
    # The next began by itself.
    assert client.cancel(session) == waiting.turn
    assert client.wait_for_turn(session, waiting).state == "ended"


def test_a_page_of_the_log(client: trunkline.Client, bot: trunkline.Session) -> None:
    for number in range(4):
        client.update_session(bot, title=str(number))
    page = client.events(bot, 1, limit=2)
    assert [(event.seq, event.data) for event in page.items] == [(2, {"title": "0"}), (3, {"title": "1"})]
    assert (page.first, page.head, page.more, page.gap) == (2, 5, True, False) or page.first == 1


def test_grants(client: trunkline.Client, daemon: Daemon) -> None:
    session = hosted(daemon, client)
    expires = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(hours=1)
    grant = client.add_grant(session, "edit", expires=expires, unconfined=True)
    assert (grant.tool, grant.expires, grant.unconfined) == ("edit", expires, True)
    assert [one.id for one in client.grants(session)] == [grant.id]
    client.revoke_grant(session, grant)
    assert client.grants(session) == []


def test_a_token_opens_what_its_scope_says(client: trunkline.Client, bot: trunkline.Session) -> None:
    made = client.create_token("bot-token", {"agent": bot.id}, ttl=3600)
    assert made.token is not None
    assert made.token not in repr(made)
    assert made.id in {token.id for token in client.tokens()}
    with trunkline.Client(base_url=client.base_url, token=made.token) as agent:
        assert agent.session(bot).id == bot.id
        with pytest.raises(trunkline.ForbiddenError):
            agent.tokens()
        client.revoke_token(made)
        with pytest.raises(trunkline.UnauthenticatedError):
            agent.session(bot)


def test_what_is_there(client: trunkline.Client, daemon: Daemon) -> None:
    assert "demo" in {entry.name for entry in client.catalog()}
    session = hosted(daemon, client)
    with client.attach(session, client="me") as stream:
        next(stream)
        assert [one.name for one in client.presence(session)] == ["me"]
    assert isinstance(client.agents(), list)


async def test_without_waiting(aclient: trunkline.AsyncClient, daemon: Daemon) -> None:
    session = await aclient.create_session("quick", argv=daemon.demo(), workspace=Path(daemon.work))
    turn = await aclient.prompt(session, "look around")
    async with aclient.attach(session) as stream:
        async for item in stream:
            if isinstance(item, trunkline.Event) and item.type == "request.opened":
                await aclient.answer(item.data["id"], "allow")
            if item.type == "turn.ended":
                break
    assert (await aclient.wait_for_turn(session, turn)).state == "ended"
    assert session.id in [one.id async for one in aclient.sessions(agent="quick")]
