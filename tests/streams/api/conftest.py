"""Servers on the embedded broker."""

import dataclasses

import pytest

from streams import topics
from streams.api import Server


@pytest.fixture
def broker(embedded_broker):
    return embedded_broker


@pytest.fixture
def two_partitions(settings):
    """Settings under which events have two partitions; the topics exist."""
    settings = dataclasses.replace(settings, topics=dataclasses.replace(settings.topics, events_partitions=2))
    topics.ensure(settings)
    return settings


@pytest.fixture
async def start():
    """Start servers, and stop them after the test."""
    servers = []

    async def start(worker):
        server = Server(worker)
        url = await server.start()
        servers.append(server)
        return url

    yield start
    for server in servers:
        await server.stop()
