"""Live streams: attach and the feed, over cut connections and killed daemons."""

from __future__ import annotations

import asyncio

import pytest

import trunkline
from hub.daemon import Cutter, Daemon, thread


def test_replay_then_live(client: trunkline.Client, bot: trunkline.Session) -> None:
    client.update_session(bot, title="before")
    types = []
    with client.attach(bot) as stream:
        for item in stream:
            types.append(item.type)
            if isinstance(item, trunkline.CaughtUp):
                assert item.head == 2
                client.update_session(bot, title="after")
            if isinstance(item, trunkline.Event) and item.data.get("title") == "after":
                break
        assert stream.last == 3
    assert types == ["open", "session.created", "session.updated", "caught-up", "session.updated"]
    assert next(stream, None) is None
    with client.attach(bot, stream.last - 1) as stream:
        assert [next(stream).type, next(stream).type] == ["open", "session.updated"]


def test_deletion_ends_it(client: trunkline.Client, bot: trunkline.Session) -> None:
    with client.attach(bot) as stream:
        for item in stream:
            if item.type == "caught-up":
                client.delete_session(bot)
    assert isinstance(item, trunkline.Deleted)


def test_what_is_not_there_is_refused(client: trunkline.Client) -> None:
    stream = client.attach("01a1fde5-1f81-779a-815b-86289cbee799")
    with pytest.raises(trunkline.NotFoundError):
        next(stream)
    assert list(stream) == []


def test_the_feed(client: trunkline.Client, bot: trunkline.Session) -> None:
    at = client.sessions_page().at
    request = client.create_request(bot, "Feed?")
    client.update_session(bot, title="fed")
    seen = set()
    with client.feed(at, sessions={bot.id: 1}) as feed:
        for item in feed:
            seen.add(item.type)
            if isinstance(item, trunkline.FeedEvents):
                assert item.events[0].seq > 1
            if isinstance(item, trunkline.FeedRequest):
                assert item.request.id == request.id
            if isinstance(item, trunkline.FeedSession) and item.session.title == "fed":
                client.delete_session(bot)
            if isinstance(item, trunkline.FeedSessionRemoved):
                assert item.session == bot.id
                break
    assert seen >= {"open", "events", "request", "session", "session-removed"}


async def test_a_cancelled_step_loses_nothing(aclient: trunkline.AsyncClient) -> None:
    bot = await aclient.register("patient")
    async with aclient.attach(bot) as stream:
        while (await anext(stream)).type != "caught-up":
            pass
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(stream), 0.05)
        await aclient.update_session(bot, title="meanwhile")
        items = [await anext(stream) for _ in range(2)]
        assert [item.type for item in items] == ["open", "session.updated"]


def test_no_gap_and_no_double_over_kill_9(own: Daemon) -> None:
    with own.client() as client:
        session = client.create_session("quick", argv=own.demo(5), workspace=own.work)
        client.prompt(session, "look around")
        seqs: list[int] = []
        types: list[str] = []
        killed = 0
        with client.attach(session) as stream:
            for item in stream:
                types.append(item.type)
                if isinstance(item, trunkline.Event):
                    seqs.append(item.seq)
                if item.type == "turn.update" and killed == 0:
                    killed += 1
                    own.kill()
                    own.start()
                if item.type == "turn.ended":
                    break
        assert seqs == list(range(1, len(seqs) + 1))
        assert "lost" in types
        assert types.count("open") >= 2
        log = client.events(session)
        assert [event.seq for event in log.items][: len(seqs)] == seqs


async def test_waits_outlive_kill_9(own: Daemon) -> None:
    async with trunkline.AsyncClient(own.home) as client:
        bot = await client.register("bot")
        asking = asyncio.create_task(client.ask(bot, "Still there?", options=["yes"], idempotency_key="k"))
        mail = client.inbox(await client.register("other"))
        reading = asyncio.create_task(anext(mail))
        async with client.feed(0) as feed:
            async for _ in feed:
                open_ones = [request async for request in client.requests(status="open")]
                if open_ones:
                    break
        await asyncio.to_thread(own.kill)
        await asyncio.to_thread(own.start)
        # The daemon is elsewhere now: it took another free port.
        answered = await client.answer(open_ones[0], "yes")
        closed = await asyncio.wait_for(asking, 60)
        assert closed.closed == answered.closed
        # The same question again is the same request, also after a crash.
        assert await client.ask(bot, "Still there?", options=["yes"], idempotency_key="k") == closed
        (other,) = [session async for session in client.sessions(agent="other")]
        await client.send_message(other, "note", "hello")
        assert (await asyncio.wait_for(reading, 60)).payload == "hello"
        await mail.aclose()


def test_an_inbox_goes_on_over_kill_9(own: Daemon) -> None:
    with own.client() as client:
        bot = client.register("bot")
        sent = [client.send_message(bot, "note", number).payload for number in range(3)]
        taken = []
        for message in client.inbox(bot, timeout=30):
            taken.append(message.payload)
            if len(taken) == 2:
                # The first is acknowledged, this one is in hand, the third was fetched with them.
                own.kill()
                own.start()
                client.send_message(bot, "note", 3)
            if len(taken) == 4:
                client.ack(bot, message)
                break
        assert taken == [*sent, 3]
        assert client.poll_inbox(bot) == []


def test_the_feed_goes_on_over_kill_9(own: Daemon) -> None:
    with own.client() as client:
        bot = client.register("bot")
        at = client.sessions_page().at
        killed = False
        with client.feed(at, sessions={bot.id: 0}) as feed:
            seqs = []
            for item in feed:
                if isinstance(item, trunkline.FeedEvents):
                    seqs += [event.seq for event in item.events]
                if item.type == "session-caught-up" and not killed:
                    killed = True
                    client.update_session(bot, title="before")
                    own.kill()
                    own.start()
                    client.update_session(bot, title="after")
                if killed and len(seqs) == 3:
                    break
        assert seqs == [1, 2, 3]


def test_a_lost_answer_is_asked_for_again_and_nothing_happens_twice(client: trunkline.Client, daemon: Daemon) -> None:
    base_url = client.base_url
    with (
        Cutter(base_url, 1) as cutter,
        trunkline.Client(base_url=cutter.base_url, token=daemon.token) as cut,
    ):
        made = cut.register("cut-once")
        assert cutter.cut == 1
    assert [session.id for session in client.sessions(agent="cut-once")] == [made.id]


def test_what_has_no_key_is_not_repeated(client: trunkline.Client, daemon: Daemon) -> None:
    with (
        Cutter(client.base_url, 1) as cutter,
        trunkline.Client(base_url=cutter.base_url, token=daemon.token) as cut,
    ):
        with pytest.raises(trunkline.BrokenError) as broken:
            cut.create_token("cut-token", "viewer")
        assert broken.value.passing
    assert [token.name for token in client.tokens()].count("cut-token") == 1


def test_a_moved_daemon_is_found_again(own: Daemon) -> None:
    with own.client() as client:
        before = client.base_url
        bot = client.register("bot")
        own.stop()
        with pytest.raises(trunkline.UnreachableError):
            client.session(bot)
        own.start()
        with thread(client.session, bot):
            assert client.session(bot).id == bot.id
        assert before.startswith("http://127.0.0.1:")
