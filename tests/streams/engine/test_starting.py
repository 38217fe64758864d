"""A client starts as soon as its broker is there, and gives up in time."""

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaError

from streams.engine import starting
from streams.engine.starting import once_reached


class Client:
    """Starts with the attempt after so many that fail."""

    def __init__(self, failures, error=KafkaConnectionError):
        self.failures, self.error, self.attempts = failures, error, 0

    async def start(self):
        self.attempts += 1
        if self.attempts <= self.failures:
            raise self.error("away")


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch):
    monkeypatch.setattr(starting, "_RETRY_S", 0.0)


async def test_attempts_go_on_until_the_broker_is_there_and_it_is_said_once(caplog):
    client = Client(failures=3)
    await once_reached(client.start, 60.0)
    assert client.attempts == 4
    assert caplog.text.count("the broker is away") == 1


async def test_behind_the_deadline_nothing_is_tried_again():
    client = Client(failures=3)
    with pytest.raises(KafkaConnectionError):
        await once_reached(client.start, 0.0)
    assert client.attempts == 1


async def test_what_waiting_does_not_cure_is_raised_at_once():
    client = Client(failures=3, error=KafkaError)
    with pytest.raises(KafkaError):
        await once_reached(client.start, 60.0)
    assert client.attempts == 1
