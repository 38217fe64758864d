"""A bench for the engine on either broker, and on Apache Kafka alone."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.bench import Bench


@pytest.fixture
async def bench(broker, tmp_path) -> AsyncIterator[Bench]:
    made = Bench(broker.bootstrap_servers, tmp_path)
    yield made
    for runtime in list(made.runtimes):
        await made.stop(runtime)


@pytest.fixture
async def on_kafka(kafka_broker, tmp_path) -> AsyncIterator[Bench]:
    made = Bench(kafka_broker.bootstrap_servers, tmp_path)
    yield made
    for runtime in list(made.runtimes):
        await made.stop(runtime)
