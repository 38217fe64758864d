"""Kafka clients of Faust that wait for a broker which is away at the moment they start.

A broker that has answered a moment ago may be gone by the time Faust connects. Once they run, these clients
wait for it; but their start tries every address once and gives up.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

import aiokafka
from aiokafka.errors import KafkaConnectionError

log = logging.getLogger(__name__)

_RETRY_S = 0.5


async def once_reached(start: Callable[[], Awaitable[None]], deadline_s: float) -> None:
    """Start a client as soon as a broker can be reached.

    Parameters
    ----------
    start
        Starts it; where no broker is reached it has done nothing, and is called again.
    deadline_s
        How long to try.

    Raises
    ------
    KafkaConnectionError
        None was reached before the deadline.
    """
    began = time.monotonic()
    attempt = 0
    while True:
        try:
            await start()
        except KafkaConnectionError as error:
            if time.monotonic() - began >= deadline_s:
                raise
            if not attempt:
                log.warning("the broker is away, waiting for it up to %.0f s: %s", deadline_s, error)
        else:
            return
        attempt += 1
        await asyncio.sleep(_RETRY_S)


class PatientConsumer(aiokafka.AIOKafkaConsumer):  # type: ignore[misc]  # aiokafka is untyped
    """A consumer whose start waits for the broker, up to `start_deadline_s`."""

    start_deadline_s = 0.0

    async def start(self) -> None:
        """Connect as soon as a broker can be reached."""
        await once_reached(super().start, self.start_deadline_s)


class PatientProducer(aiokafka.AIOKafkaProducer):  # type: ignore[misc]  # same
    """A producer whose start waits for the broker, up to `start_deadline_s`."""

    start_deadline_s = 0.0

    async def start(self) -> None:
        """Connect as soon as a broker can be reached."""
        await once_reached(super().start, self.start_deadline_s)
