"""Fixtures for every test: real brokers over TCP, settings that keep tests apart."""

import os
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

import pytest

from streams.broker import EmbeddedBroker
from streams.settings import Settings, load
from tests.integration import kafka

# Whoever runs the tests in the background may hand SIGINT down as ignored, and so would all that they start.
signal.signal(signal.SIGINT, signal.default_int_handler)


class RunningBroker(Protocol):
    """What tests need of a broker."""

    @property
    def bootstrap_servers(self) -> str: ...


@pytest.fixture(autouse=True)
def _no_settings_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take away what the developer's shell says, except where downloads are kept."""
    for name in os.environ:
        if name.startswith("KEEPSTREAM_") and name != "KEEPSTREAM_CACHE_DIR":
            monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def kafka_or_skip() -> None:
    """Skip the test with a reason where Apache Kafka cannot run; fail in continuous integration."""
    reason = kafka.missing()
    if reason and os.environ.get("CI", "").lower() in ("1", "true"):
        pytest.fail(f"{reason}; continuous integration must not skip it")
    if reason:
        pytest.skip(reason)


@pytest.fixture(scope="session")
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    """Yield the embedded broker, one per test process; tests share it, so none may stop it."""
    with EmbeddedBroker(tmp_path_factory.mktemp("embedded-broker")) as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka_broker(
    kafka_or_skip: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[kafka.KafkaServer]:
    """Yield Apache Kafka, one per test process; tests share it, so none may stop it."""
    with kafka.KafkaServer(tmp_path_factory.mktemp("kafka")) as server:
        yield server


@pytest.fixture
def own_kafka_broker(kafka_or_skip: None, tmp_path: Path) -> Iterator[kafka.KafkaServer]:
    """Yield an Apache Kafka of the test's own, to kill, stop and start."""
    with kafka.KafkaServer(tmp_path / "kafka") as server:
        yield server


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=pytest.mark.kafka)])
def broker(request: pytest.FixtureRequest) -> RunningBroker:
    """Run the test against both brokers."""
    found: RunningBroker = request.getfixturevalue(f"{request.param}_broker")
    return found


@pytest.fixture
def topic_prefix() -> str:
    """Return a prefix that no other test uses."""
    return f"t{uuid.uuid4().hex[:10]}."


@pytest.fixture
def settings(broker: RunningBroker, topic_prefix: str, tmp_path: Path) -> Settings:
    """Return settings for `broker` with names and directories of their own."""
    return load(
        environ={},
        bootstrap_servers=broker.bootstrap_servers,
        topic_prefix=topic_prefix,
        group=f"{topic_prefix}keepstream",
        data_dir=tmp_path / "data",
    )
