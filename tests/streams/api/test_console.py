"""The console's page, files and stream, asked over HTTP."""

import asyncio
import json
from contextlib import asynccontextmanager

import aiohttp
import pytest

from streams import topics, web
from streams.api.console import Console
from streams.clients import confluent
from streams.encode import encode_alerts, encode_boards, encode_snapshot
from streams.schemas import ChurnAlert, ModelSnapshot, Origin
from tests.streams.api.boards import board
from tests.streams.api.fakes import FakeWorker, eventually, get, token

PAGE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@asynccontextmanager
async def stream(url, **headers):
    """Yield a function that returns the next event of the stream: its name and documents."""
    async with aiohttp.ClientSession() as session, session.get(f"{url}/v1/stream", headers=headers) as answer:

        async def following():
            name = (await asyncio.wait_for(answer.content.readline(), 20)).decode()
            data = (await answer.content.readline()).decode()
            await answer.content.readline()
            return (name[7:-1], json.loads(data[6:])) if name else None

        yield answer, following


async def until(following, name):
    """Return the first documents of an event that has any."""
    while True:
        found, documents = await following()
        if found == name and documents:
            return documents


def alert(number):
    source = Origin("users", "churn", "events", 0, number)
    return ChurnAlert(
        f"u:c@{number}",
        "u:c",
        "c",
        number,
        "churn-1",
        source,
        0.8,
        0.7,
        1_000,
        ["quiet 9 d"],
        "cart_reminder",
    )


def produce(settings, topic, pairs):
    from confluent_kafka import Producer

    producer = Producer(confluent(settings.broker))
    for key, value in pairs:
        producer.produce(topic.full_name(settings), value, key, 0)
    assert producer.flush(30) == 0


class TestPage:
    async def test_a_browser_gets_it_and_everybody_else_the_index(self, two_partitions, start):
        url = await start(FakeWorker(two_partitions))
        status, text, headers = await get(f"{url}/", **PAGE)
        assert status == 200
        assert text == web.read(web.PAGE).decode()
        assert headers["Vary"] == "Accept"
        paths = (await get(f"{url}/"))[1]["paths"]
        assert "/v1/stream" in paths
        assert not [path for path in paths if "console" in path]

    async def test_it_may_load_nothing_but_its_own_files(self, two_partitions, start):
        url = await start(FakeWorker(two_partitions))
        _, text, headers = await get(f"{url}/", **PAGE)
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        for foreign in ("http:", "https:", "style=", "onclick=", "<style", "javascript:"):
            assert foreign not in text

    async def test_every_file_is_there_and_is_sent_again_only_when_it_changed(self, two_partitions, start):
        url = await start(FakeWorker(two_partitions))
        for name, kind in web.ASSETS.items():
            status, _, headers = await get(f"{url}/console/{name}")
            assert (status, headers["Content-Type"]) == (200, f"{kind}; charset=utf-8"), name
            assert headers["X-Content-Type-Options"] == "nosniff"
            again = await get(f"{url}/console/{name}", **{"If-None-Match": headers["ETag"]})
            assert again[:2] == (304, "")

    def test_scripts_make_text_of_what_they_are_given_and_never_markup_or_code(self):
        scripts = [name for name in web.ASSETS if name.endswith(".js") and not name.startswith("vendor/")]
        assert len(scripts) > 3
        for name in scripts:
            text = web.read(name).decode()
            for way in (
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "Function(",
            ):
                assert way not in text, (name, way)

    @pytest.mark.parametrize("name", ["nothing.js", "__init__.py", "..%2F..%2Fsettings%2Fsections.py"])
    async def test_no_other_file_is(self, two_partitions, start, name):
        url = await start(FakeWorker(two_partitions))
        assert (await get(f"{url}/console/{name}"))[0] == 404

    async def test_it_is_shown_without_a_token_but_its_data_are_not(self, two_partitions, start):
        url = await start(FakeWorker(two_partitions, api_token=token()))
        assert (await get(f"{url}/", **PAGE))[0] == 200
        for path in ("/v1/stream", "/v1/live"):
            assert (await get(url + path))[0] == 401
        async with stream(url, Authorization="Bearer s3cret") as (answer, _):
            assert answer.status == 200


class TestLive:
    async def test_any_worker_speaks_for_all_of_them(self, two_partitions, start):
        first, second = FakeWorker(two_partitions, "w-0"), FakeWorker(two_partitions, "w-1")
        first.users(0), second.users(1)
        first.metrics.events(5, 1, {"not_json": 2})
        second.metrics.events(7, 0, {})
        first.metrics.lag(first.runtime.held[0].source, 3)
        second.metrics.lag(second.runtime.held[0].source, 4)
        url, _ = await start(first), await start(second)

        async def both():
            return (await get(f"{url}/v1/live"))[1]["workers"] == 2

        await eventually(both)
        found = (await get(f"{url}/v1/live"))[1]
        assert (found["ready"], found["lag"]) == (2, {"users": 7})
        assert found["counters"]["accepted"] == 12
        assert found["counters"]["rejected"] == {"not_json": 2}
        alone = (await get(f"{url}/v1/live", **{"X-Keepstream-Forwarded": "1"}))[1]
        assert (alone["workers"], alone["counters"]["accepted"]) == (1, 5)


class TestStream:
    async def test_numbers_alerts_and_models_come_as_they_are_made(self, two_partitions, start):
        worker = FakeWorker(two_partitions)
        worker.users(0)
        produce(two_partitions, topics.ALERTS, encode_alerts([alert(1), alert(2)]))
        url = await start(worker)
        async with stream(url) as (answer, following):
            assert answer.headers["Content-Type"] == "text/event-stream"
            assert [one["id"] for one in await until(following, "alerts")] == ["u:c@1", "u:c@2"]
            worker.metrics.events(9, 0, {})
            while (await until(following, "samples"))[-1]["counters"]["accepted"] != 9:
                pass
            snapshot = ModelSnapshot("churn", "churn-3", 7, 40, 1, {"scorer": {"card": {"churn_auc": 0.7}}})
            produce(two_partitions, topics.MODELS, [encode_snapshot(snapshot)])
            (point,) = await until(following, "models")
            assert (point["model_version"], point["metrics"]) == ("churn-3", {"churn_auc": 0.7})
            produce(two_partitions, topics.ALERTS, encode_alerts([alert(2), alert(3)]))
            assert [one["id"] for one in await until(following, "alerts")] == ["u:c@3"]

    async def test_the_boards_of_a_day_are_added_up_over_partitions(self, two_partitions, start):
        produce(two_partitions, topics.RETENTION, encode_boards([board(0, 1, 30), board(0, 2, 31)]))
        async with stream(await start(FakeWorker(two_partitions))) as (_, following):
            assert [one["daily"] for one in await until(following, "boards")] == [30, 31]
            produce(two_partitions, topics.RETENTION, encode_boards([board(1, 2, 9)]))
            (changed,) = await until(following, "boards")
            assert (changed["event_time"], changed["daily"]) == (2, 40)

    async def test_what_cannot_be_read_is_passed_over(self, two_partitions, start):
        produce(two_partitions, topics.ALERTS, [(b"u:c", b"{"), (b"u:c", b"{}"), *encode_alerts([alert(4)])])
        produce(two_partitions, topics.MODELS, [(b"churn", b"{"), (b"else/x", b"{}")])
        async with stream(await start(FakeWorker(two_partitions))) as (_, following):
            assert [one["id"] for one in await until(following, "alerts")] == ["u:c@4"]

    async def test_no_alert_is_kept_when_nobody_looks_any_more(self, two_partitions, start, consoles):
        produce(two_partitions, topics.ALERTS, encode_alerts([alert(5)]))
        url = await start(FakeWorker(two_partitions))
        async with stream(url) as (_, following):
            await until(following, "alerts")
            (console,) = consoles
            assert console._alerts

        async def forgotten():
            return not console._alerts and console._feed is None

        await eventually(forgotten)

    async def test_the_number_of_streams_has_a_limit(self, two_partitions, start, monkeypatch):
        monkeypatch.setattr("streams.api.console.MAX_STREAMS", 1)
        url = await start(FakeWorker(two_partitions))
        async with stream(url):
            status, body, headers = await get(f"{url}/v1/stream")
            assert (status, body["error"], headers["Retry-After"]) == (503, "too many consoles are open", "2")

    async def test_it_ends_when_the_worker_does(self, two_partitions, start, consoles):
        async with stream(await start(FakeWorker(two_partitions))) as (_, following):
            await following()
            await consoles[0].stop(None)
            while await following():
                pass


@pytest.fixture
def consoles(monkeypatch):
    """Return the consoles that servers of this test make."""
    made = []

    class Kept(Console):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

    monkeypatch.setattr("streams.api.server.Console", Kept)
    return made
