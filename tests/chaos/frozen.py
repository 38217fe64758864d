"""A broadcast that stays as it was frozen, and the worker that goes by it.

Scores, alerts and lists depend on the moment a model or a neighbour arrived, which no two runs share. So both
runs of a comparison go by one model and one set of neighbours, made beforehand; what workers broadcast is
read as ever, and changes nothing. Run as a process: ``python -m tests.chaos.frozen FILE``, settings in the
environment.
"""

import asyncio
import faulthandler
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import msgspec

from online_models.pipeline import Pipeline
from streams import app, clients, logs, topics
from streams.agents.broadcast import Broadcast
from streams.agents.documents import model_snapshot, neighbours_documents
from streams.broadcast import Refused, Rows
from streams.decode import Decoder
from streams.encode import encode_neighbours, encode_snapshot
from streams.engine.handler import Record
from streams.schemas import ItemNeighbours
from streams.settings import Settings, load, milliseconds
from streams.settings.sections import Logs
from streams.store_settings import cooccurrence_settings, pipeline_settings
from tests.chaos.events import ITEMS, Sent

_LEARNED_FROM = 60_000


class Frozen(msgspec.Struct):
    """The rows of both broadcast topics at the moment of the frost."""

    neighbours: list[tuple[bytes, bytes]]
    models: list[tuple[bytes, bytes]]


def freeze(log: Sequence[Sent], settings: Settings, file: Path) -> None:
    """Learn from the first events of a log in one process, and write what would be broadcast then."""
    stores = pipeline_settings(settings)
    # Every changed row counts as due, so that publishing once tells of all items.
    pipeline = Pipeline(replace(stores, items=replace(stores.items, publish_growth=0.0)))
    now_ms = time.time_ns() // 1_000_000
    records = [Record(n, now_ms, sent.key, sent.value) for n, sent in enumerate(log[:_LEARNED_FROM])]
    pipeline.apply(Decoder().decode(records).events)
    known = neighbours_documents(pipeline.items.publish())
    # An item without a name would be named by whoever speaks of it first.
    unknown = {f"p{number:05d}" for number in range(ITEMS)} - {row.item_id for row in known}
    bare = [ItemNeighbours(name, 0, 0, 0.0, 0.0, []) for name in sorted(unknown)]
    scorer = pipeline.trainer.current()
    assert scorer.ready, "too few labels in the log: nobody would be alerted"
    frozen = Frozen(encode_neighbours([*known, *bare]), [encode_snapshot(model_snapshot(scorer, now_ms))])
    file.write_bytes(msgspec.msgpack.encode(frozen))


class FrozenBroadcast(Broadcast):
    """Reads the broadcast topics like any other, and stays at the rows it was given.

    Parameters
    ----------
    settings
        Of the worker.
    frozen
        What to stay at.
    """

    def __init__(self, settings: Settings, frozen: Frozen) -> None:
        super().__init__(
            clients.confluent(settings.broker),
            topics.NEIGHBOURS.full_name(settings),
            topics.MODELS.full_name(settings),
            cooccurrence_settings(settings),
            horizon_ms=milliseconds(settings.churn.horizon),
        )
        super().take_neighbours(frozen.neighbours)
        super().take_models(frozen.models)

    def take_neighbours(self, rows: Rows) -> list[Refused]:
        """Leave things as they are."""
        return []

    def take_models(self, rows: Rows) -> list[Refused]:
        """Leave things as they are."""
        return []


async def work(settings: Settings, frozen: Frozen) -> int:
    """Run the worker as `keepstream worker` does, but for its broadcast."""
    worker = app.build(settings)
    worker.broadcast = FrozenBroadcast(settings, frozen)
    return await worker.run()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.register(signal.SIGUSR1)  # tells where every thread stands
    logs.set_up(Logs())
    chosen = clients.require(load())
    clients.wait_for_broker(chosen.broker, say=print)
    sys.exit(asyncio.run(work(chosen, msgspec.msgpack.decode(Path(sys.argv[1]).read_bytes(), type=Frozen))))
