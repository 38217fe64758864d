"""A worker with two chained counting agents: any lost, repeated or reordered event shows in a sequence.

`users` counts events by user, outputs one line an event and passes the event's item on; `items` counts those
by item and outputs one line each. Run as a process:
``python -m tests.chaos.counting BOOTSTRAP GROUP INSTANCE DATADIR PARTITIONS``.
"""

import asyncio
import faulthandler
import logging
import signal
import sys
from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path

import msgspec
import xxhash

from streams import clients
from streams.engine.handler import Output, Record, Row
from streams.engine.probe import probe
from streams.engine.runner import create_app, run
from streams.engine.runtime import Runtime
from streams.engine.settings import EngineSettings
from streams.settings.sections import Broker

_decode = msgspec.json.Decoder(dict[str, object]).decode
_encode = msgspec.json.encode


class Counting:
    """Counts records by a field; `emit` says what follows from the n-th record of a key."""

    def __init__(self, group: str, partition: int, partitions: int) -> None:
        self.group, self.partition, self.partitions = group, partition, partitions
        self.counts: dict[str, int] = {}
        self.dirty: set[str] = set()

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        for key, value in rows:
            if value is None:
                self.counts.pop(key.decode(), None)
            else:
                self.counts[key.decode()] = msgspec.msgpack.decode(value, type=int)

    def restored(self) -> None:
        pass

    def count(self, key: str) -> int:
        self.counts[key] = self.counts.get(key, 0) + 1
        self.dirty.add(key)
        return self.counts[key]

    def tick(self, now_ms: int) -> Sequence[Output]:
        return ()

    def idle(self, now_ms: int) -> Sequence[Output]:
        return ()

    def dirty_rows(self) -> Sequence[Row]:
        rows = [(key.encode(), msgspec.msgpack.encode(self.counts[key])) for key in sorted(self.dirty)]
        self.dirty.clear()
        return rows

    def poison(self, record: Record, error: BaseException) -> Sequence[Output]:
        return [
            Output(
                f"{self.group}-dlq",
                self.partition,
                record.key,
                record.value,
                [("error", repr(error).encode())],
            )
        ]


class Users(Counting):
    def apply(self, records: Sequence[Record]) -> Sequence[Output]:
        outputs = []
        for record in records:
            event = _decode(record.value or b"")
            if event.get("poison"):
                raise RuntimeError(f"poisoned event {event['n']}")
            user, item = str(event["u"]), str(event["i"])
            line = _encode({"n": event["n"], "k": user, "c": self.count(user)})
            outputs.append(Output(f"{self.group}-out", self.partition, user.encode(), line))
            target = xxhash.xxh32_intdigest(item.encode()) % self.partitions
            outputs.append(Output(f"{self.group}-mid", target, item.encode(), b"%d" % event["n"]))
        return outputs


class Items(Counting):
    def apply(self, records: Sequence[Record]) -> Sequence[Output]:
        outputs = []
        for record in records:
            item = (record.key or b"").decode()
            line = _encode({"n": int(record.value or b"0"), "k": item, "c": self.count(item)})
            outputs.append(Output(f"{self.group}-iout", self.partition, item.encode(), line))
        return outputs


TOPICS = ("ev", "out", "mid", "iout", "dlq", "users-changelog", "items-changelog", "probe")


async def main(bootstrap: str, group: str, instance: str, datadir: Path, partitions: int) -> int:
    clients.wait_for_broker(Broker(bootstrap_servers=bootstrap), timedelta(seconds=60), say=print)
    app = create_app(group, f"kafka://{bootstrap}", instance=instance, datadir=datadir, session_timeout_s=6.0)
    config = {"bootstrap.servers": bootstrap}
    runtime = Runtime(
        app, EngineSettings(instance, transactional_id_file=datadir / f"{instance}.transactional-id"), config
    )
    tried = await asyncio.to_thread(probe, config, f"{group}-probe", f"{group}-probe")
    runtime.transactional_id.changing = not tried.forgets_aborted
    runtime.agent("users", f"{group}-ev", f"{group}-users-changelog", lambda p: Users(group, p, partitions))
    runtime.agent("items", f"{group}-mid", f"{group}-items-changelog", lambda p: Items(group, p, partitions))
    return await run(runtime)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.register(signal.SIGUSR1)  # tells where every thread stands
    sys.exit(asyncio.run(main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]), int(sys.argv[5]))))
