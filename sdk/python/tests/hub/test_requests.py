"""Requests, ask-and-wait and the inbox."""

from __future__ import annotations

import asyncio
import pickle
from datetime import datetime, timedelta, timezone

import pytest

import trunkline
from hub.daemon import Daemon, thread


def answer_next(daemon: Daemon, at: int | None, option: str) -> None:
    """Answer the next request that is opened, as a person does."""
    with daemon.client() as person, person.feed(at) as feed:
        for item in feed:
            if isinstance(item, trunkline.FeedRequest) and item.request.status == "open":
                person.answer(item.request, option)
                return


def test_create_list_answer(client: trunkline.Client, bot: trunkline.Session) -> None:
    low = client.create_request(bot, "Low?", priority="low")
    choice = trunkline.Choice(id="y", name="Yes, do it")
    urgent = client.create_request(
        bot, "Urgent?", question="Really?", options=[choice, "no"], context={"a": 1}, priority="urgent", tags=["t"]
    )
    assert [request.id for request in client.requests(status="open", session=bot)] == [urgent.id, low.id]
    assert client.requests_page(session=bot, limit=1).next is not None
    now = client.request(urgent)
    assert (now.question, now.context, now.tags, now.options[0]) == ("Really?", {"a": 1}, ["t"], choice)
    assert not now.is_closed
    answered = client.answer(urgent, "yes, do it")
    assert answered.is_closed
    assert answered.answer == trunkline.Answer(option="y")
    with pytest.raises(trunkline.RequestClosedError) as late:
        client.answer(urgent, "no")
    assert (late.value.closed.by, late.value.closed.answer) == ("owner", trunkline.Answer(option="y"))
    assert client.answer(low, text="whatever").answer == trunkline.Answer(text="whatever")


def test_a_form(client: trunkline.Client, bot: trunkline.Session) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    form = client.create_request(bot, "How many?", schema=schema)
    assert (form.kind, form.form_schema) == ("form", schema)
    assert client.answer(form, fields={"n": 3}).answer == trunkline.Answer(fields={"n": 3})


def test_dismiss_and_withdraw(client: trunkline.Client, bot: trunkline.Session) -> None:
    request = client.create_request(bot, "Ever?")
    dismissed = client.dismiss(request)
    assert (dismissed.status, dismissed.is_closed) == ("dismissed", False)
    assert client.wait_for_request(request, or_dismissed=True).status == "dismissed"
    assert client.withdraw(request).status == "cancelled"
    assert client.wait_for_request(request).answer is None


def test_deadlines(client: trunkline.Client, bot: trunkline.Session) -> None:
    soon = datetime.now(timezone.utc) + timedelta(milliseconds=200)
    request = client.create_request(
        bot, "Now?", options=["yes", "no"], deadline=soon, on_timeout={"default": {"option": "no"}}
    )
    closed = client.wait_for_request(request)
    assert (closed.status, closed.answer) == ("expired", trunkline.Answer(option="no"))


def test_ask_and_wait(client: trunkline.Client, bot: trunkline.Session, daemon: Daemon) -> None:
    at = client.requests_page().at
    with thread(answer_next, daemon, at, "yes"):
        closed = client.ask(bot, "Proceed?", options=["yes", "no"], idempotency_key="proceed")
    assert closed.answer == trunkline.Answer(option="yes")
    # Whoever waited has got the answer: it does not come again.
    assert client.poll_inbox(bot) == []
    # A program that was restarted asks again, and is told the same.
    assert client.ask(bot, "Proceed?", options=["yes", "no"], idempotency_key="proceed") == closed


def test_a_token_for_one_session_is_enough_to_ask(
    client: trunkline.Client, bot: trunkline.Session, daemon: Daemon
) -> None:
    token = client.create_token("asks", {"agent": bot.id}).token
    at = client.requests_page().at
    with (
        trunkline.Client(base_url=client.base_url, token=token) as agent,
        thread(answer_next, daemon, at, "yes"),
    ):
        closed = agent.ask(bot, "Proceed?", options=["yes", "no"])
        assert closed.answer == trunkline.Answer(option="yes")
        client.send_message(bot, "note", "hello")
        assert [message.payload for message in agent.inbox(bot, timeout=0)] == ["hello"]
        with pytest.raises(trunkline.ForbiddenError):
            agent.answer(client.create_request(bot, "By itself?"), text="yes")


def test_ask_waits_no_longer_than_it_may(client: trunkline.Client, bot: trunkline.Session) -> None:
    with pytest.raises(trunkline.StillOpenError) as still:
        client.ask(bot, "Anybody?", timeout=0.1)
    assert isinstance(still.value, TimeoutError)
    assert pickle.loads(pickle.dumps(still.value)).request == still.value.request  # noqa: S301 - our own
    assert client.request(still.value.request).status == "open"
    assert client.ask(bot, "Nobody?", timeout=0.1, on_timeout="deny").status == "expired"
    with pytest.raises(ValueError, match="on_timeout needs"):
        client.ask(bot, "When?", on_timeout="deny")
    with pytest.raises(ValueError, match="either"):
        client.ask(bot, "When?", timeout=1, deadline=datetime.now(timezone.utc))
    soon = datetime.now(timezone.utc) + timedelta(milliseconds=100)
    with pytest.raises(trunkline.StillOpenError):
        client.ask(bot, "Until when?", deadline=soon)
    soon = datetime.now(timezone.utc) + timedelta(seconds=1)
    closed = client.ask(bot, "Who?", deadline=soon, on_timeout="deny", idempotency_key="who")
    assert client.ask(bot, "Who?", deadline=soon, on_timeout="deny", idempotency_key="who") == closed


def test_the_inbox(client: trunkline.Client, bot: trunkline.Session) -> None:
    sent = [client.send_message(bot, "note", {"n": number}).id for number in range(3)]
    # What was not dealt with comes again.
    for message in client.inbox(bot):
        assert message.id == sent[0]
        break
    assert next(client.inbox(bot)).id == sent[0]
    taken = []
    for message in client.inbox(bot, timeout=0):
        taken.append((message.id, message.payload))
        if message.id == sent[1]:
            client.ack(bot, message)  # Early, which does no harm.
    assert taken == [(sent[n], {"n": n}) for n in range(3)]
    assert client.poll_inbox(bot) == []


def test_the_same_message_once(client: trunkline.Client, bot: trunkline.Session) -> None:
    first = client.send_message(bot, "note", {}, idempotency_key="m1")
    assert client.send_message(bot, "note", {}, idempotency_key="m1").id == first.id
    assert len(client.poll_inbox(bot)) == 1


def test_an_answer_comes_by_the_inbox(client: trunkline.Client, bot: trunkline.Session) -> None:
    other, request = client.create_request(bot, "A?"), client.create_request(bot, "B?", options=["x"])
    client.answer(request, "x")
    (message,) = client.poll_inbox(bot, wait=30)
    assert message.closes(request)
    assert not message.closes(other)
    assert message.answer == trunkline.Answer(option="x")


def test_it_wakes_when_something_comes(client: trunkline.Client, bot: trunkline.Session, daemon: Daemon) -> None:
    def person() -> None:
        with daemon.client() as other:
            other.send_message(bot, "note", 1)

    with thread(person):
        message = next(iter(client.inbox(bot)))
    assert message.payload == 1


async def test_many_wait_at_once(aclient: trunkline.AsyncClient) -> None:
    bots = [await aclient.register(f"many-{number}") for number in range(20)]
    asking = [asyncio.create_task(aclient.ask(bot, "Go?", options=["yes"])) for bot in bots]
    answered = set()
    async with aclient.feed(0) as feed:
        async for item in feed:
            if isinstance(item, trunkline.FeedRequest | trunkline.FeedGap):
                async for request in aclient.requests(status="open"):
                    if request.session in {bot.id for bot in bots}:
                        await aclient.answer(request, "yes")
                        answered.add(request.session)
            if len(answered) == len(bots):
                break
    for closed in await asyncio.gather(*asking):
        assert closed.answer == trunkline.Answer(option="yes")
