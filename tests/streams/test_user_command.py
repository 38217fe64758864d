"""`keepstream user` against a worker's server: found through the topic of workers, or named."""

import asyncio
import dataclasses
import json
from types import SimpleNamespace

import msgspec
import pytest
from rich.console import Console

from streams import topics
from streams.api import Server
from streams.cli import run
from streams.cli.user import show
from streams.engine.membership import Membership
from streams.engine.partition import Partition, TopicPartition
from streams.engine.runtime import EngineSettings
from streams.metrics import Metrics
from streams.pseudonyms import Pseudonyms
from streams.schemas import UserProfile
from streams.settings import load

PROFILE = {
    "subject": "u:c-1",
    "partition": 0,
    "offset": 41,
    "event_counts": {"view_item": 1_204, "purchase": 3, "search": 0},
    "first_event": 1_772_360_100_250,
    "last_event": 1_772_446_500_250,
    "spend": 1_234.5,
    "recent_items": ["sku-2", "sku-1"],
    "pending_labels": 2,
    "session": {"started": 1_772_446_000_250, "last_event": 1_772_446_500_250, "touches": 4},
    "risk": {
        "probability": 0.871,
        "event_time": 1_772_446_500_250,
        "model_version": "churn-3",
        "reasons": ["quiet 12.3 d, usual gap 3.1 d"],
        "contributions": {"silence": 1.12},
        "counterfactual": "one purchase would lower it to 0.31",
    },
    "alert": {"armed": False, "last_alert": 1_772_446_500_250},
    "recommendations": [
        {"item_id": "sku-7", "score": 1.5, "reason": "people who viewed sku-2 next viewed this"}
    ],
}


@pytest.fixture
def broker(embedded_broker):
    return embedded_broker


class OneUser:
    """A worker that owns every partition and knows one user."""

    def __init__(self, settings, **http):
        settings = dataclasses.replace(settings, http=dataclasses.replace(settings.http, http_port=0, **http))
        self.settings, self.metrics = settings, Metrics()
        self.broadcast = SimpleNamespace(ready=True, snapshot=None)
        handler = SimpleNamespace(lookup={"u:c-1": PROFILE}.get)
        held = []
        for number in range(settings.topics.events_partitions):
            partition = Partition(TopicPartition(topics.EVENTS.full_name(settings), number), "log", handler)
            partition.open(42)
            held.append(partition)
        self.runtime = SimpleNamespace(
            partitions=lambda: held,
            ready=True,
            membership=Membership("g", "w-0", 1, "m"),
            settings=EngineSettings("w-0"),
        )


@pytest.fixture
async def serve(settings):
    """Start a server for a worker and return its URL."""
    await asyncio.to_thread(topics.ensure, settings)
    servers = []

    async def serve(worker):
        server = Server(worker)
        servers.append(server)
        return await server.start()

    yield serve
    for server in servers:
        await server.stop()


@pytest.fixture
def ask(settings, capsys):
    """Run the command beside the server and return exit code, output and errors."""

    async def ask(*arguments):
        reach = [
            *("--bootstrap-servers", settings.broker.bootstrap_servers),
            *("--topic-prefix", settings.broker.topic_prefix),
        ]
        code = await asyncio.to_thread(run, ["user", *arguments, *reach])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return ask


async def test_a_worker_is_found_through_its_announcement(settings, serve, ask):
    await serve(OneUser(settings))
    async with asyncio.timeout(20):
        while (answer := await ask("c-1", "--json"))[0] != 0:
            assert "no worker has announced itself" in answer[2]
    assert json.loads(answer[1]) == PROFILE


async def test_the_readable_form_shows_everything_that_matters(settings, serve, ask):
    code, out, _ = await ask("c-1", "--url", await serve(OneUser(settings)))
    assert code == 0
    for text in (
        "u:c-1   partition 0, offset 41",
        "2026-03-01 10:15:00 to 2026-03-02 10:15:00 UTC",
        "1,204 view_item, 3 purchase",
        "1,234.50",
        "sku-2, sku-1",
        "87.1%",
        "quiet 12.3 d, usual gap 3.1 d",
        "not again before a return",
        "sku-7  people who viewed sku-2 next viewed this",
    ):
        assert text in out


async def test_who_has_the_key_asks_by_the_id(settings, serve, ask, monkeypatch):
    monkeypatch.setenv("KEEPSTREAM_PSEUDONYM_KEY", "a key of the tests")
    url = await serve(OneUser(settings))
    pseudonym = Pseudonyms("a key of the tests").subject("u:mary")
    for asked in ("mary", "u:mary", pseudonym, pseudonym[2:]):
        assert (await ask(asked, "--url", url))[2] == f"keepstream: error: user {pseudonym!r} is not known\n"


async def test_an_unknown_user_is_an_error_in_words(settings, serve, ask):
    code, out, err = await ask("nobody", "--url", await serve(OneUser(settings)))
    assert (code, out, err) == (1, "", "keepstream: error: user 'u:nobody' is not known\n")


async def test_a_token_is_asked_for_and_shown(settings, serve, ask, monkeypatch):
    token = load(environ={"KEEPSTREAM_API_TOKEN": "s3cret"}).http.api_token
    url = await serve(OneUser(settings, api_token=token))
    assert "set KEEPSTREAM_API_TOKEN" in (await ask("c-1", "--url", url))[2]
    monkeypatch.setenv("KEEPSTREAM_API_TOKEN", "s3cret")
    assert (await ask("c-1", "--url", url))[0] == 0


async def test_a_worker_that_is_gone_is_named(ask):
    code, _, err = await ask("c-1", "--url", "http://127.0.0.1:1")
    assert code == 1
    assert "no worker answers; tried http://127.0.0.1:1" in err


async def test_another_scheme_is_refused(ask):
    assert "must begin with http" in (await ask("c-1", "--url", "file:///etc/passwd"))[2]


def test_a_fresh_user_without_anything_is_shown(capsys):
    bare = {"first_event": None, "last_event": None, "session": None, "risk": None, "alert": None}
    profile = PROFILE | bare | {"recommendations": [], "recent_items": [], "event_counts": {}}
    show(profile, Console(highlight=False))
    out = capsys.readouterr().out
    assert "not scored yet" in out
    assert "nothing to recommend yet" in out


def test_the_sample_is_a_profile_as_the_schema_has_it():
    assert msgspec.convert(PROFILE, type=UserProfile).subject == "u:c-1"
