"""A worker without an engine, and a client that sends URLs as they are."""

import asyncio
import dataclasses
import json
from types import SimpleNamespace

import aiohttp
from yarl import URL

from online_models.experiments.book import ExperimentBook
from streams import topics
from streams.engine.membership import Membership
from streams.engine.partition import Partition, TopicPartition
from streams.engine.settings import EngineSettings
from streams.metrics import Metrics
from streams.settings import load


class FakeHandler:
    def __init__(self, known):
        self.known = known

    def lookup(self, key):
        return self.known.get(key)


class FakeRuntime:
    def __init__(self, instance):
        self.held = []
        self.settings = EngineSettings(instance)
        self.membership = Membership("g", "i", 1, "m")
        self.rebalancing = False

    def partitions(self):
        return self.held

    @property
    def ready(self):
        opened = all(p.opened for p in self.held)
        return self.membership is not None and opened and not self.rebalancing

    def hold(self, topic, number, known, position=10):
        partition = Partition(TopicPartition(topic, number), "changelog", FakeHandler(known))
        partition.open(position)
        self.held.append(partition)
        return partition


class FakeWorker:
    def __init__(self, settings, instance="w-0", **http):
        section = dataclasses.replace(settings.http, http_port=0, **http)
        self.settings = dataclasses.replace(settings, http=section)
        self.instance = instance
        self.runtime = FakeRuntime(instance)
        self.metrics = Metrics()
        self.broadcast = SimpleNamespace(ready=True, snapshot=None, newest=None, experiments=ExperimentBook())

    def users(self, number, *subjects):
        known = {subject: {"subject": subject, "worker": self.instance} for subject in subjects}
        return self.runtime.hold(topics.EVENTS.full_name(self.settings), number, known)

    def items(self, number, *ids):
        known = {one: {"item_id": one, "touches": 3} for one in ids}
        return self.runtime.hold(topics.ITEM_PAIRS.full_name(self.settings), number, known)


async def get(url, **headers):
    """Return status, body and headers of a GET; the URL is sent as it is."""
    async with (
        aiohttp.ClientSession() as session,
        session.get(URL(url, encoded=True), headers=headers) as answer,
    ):
        text = await answer.text()
        return answer.status, json.loads(text) if "json" in answer.content_type else text, answer.headers


async def eventually(condition, seconds=10.0):
    """Wait until an asynchronous condition holds."""
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)


def token(text="s3cret"):
    return load(environ={"KEEPSTREAM_API_TOKEN": text}).http.api_token
