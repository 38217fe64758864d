"""The upper bound: Keepstream's engine with an agent that decodes events and keeps nothing."""

import asyncio
import sys
import time
from collections.abc import Iterable, Sequence

from benchmarks.peers.meter import Task, cpu_seconds, write_report
from streams.decode import Decoder
from streams.engine.handler import Output, Record, Row
from streams.engine.runner import create_app, run
from streams.engine.runtime import Runtime
from streams.engine.settings import EngineSettings


class Decoding:
    """An agent without state and outputs; all partitions count together."""

    def __init__(self, task: Task) -> None:
        self._task, self._decoder = task, Decoder()
        self._seen, self._began = 0, (0.0, 0.0, 0)

    def restore(self, rows: Iterable[Row]) -> None:
        """Nothing is kept."""

    def restored(self) -> None:
        """Nothing is kept."""

    def apply(self, records: Sequence[Record]) -> Sequence[Output]:
        """Decode."""
        self._seen += len(self._decoder.decode(records).events)
        if self._seen >= self._task.warm and not self._began[2]:
            self._began = (cpu_seconds(), time.monotonic(), self._seen)
        if self._seen >= self._task.events:
            write_report(
                self._task.report,
                {
                    "events": self._seen - self._began[2],
                    "share": 1.0,
                    "whole": True,
                    "cpu": cpu_seconds() - self._began[0],
                    "seconds": time.monotonic() - self._began[1],
                },
            )
        return ()

    def tick(self, now_ms: int) -> Sequence[Output]:  # noqa: ARG002  # no clock
        """Do nothing."""
        return ()

    def idle(self, now_ms: int) -> Sequence[Output]:  # noqa: ARG002  # no clock
        """Do nothing."""
        return ()

    def dirty_rows(self) -> Sequence[Row]:
        """Return nothing."""
        return ()

    def poison(self, record: Record, error: BaseException) -> Sequence[Output]:  # noqa: ARG002  # none is expected
        """Fail."""
        raise error


async def work(task: Task) -> int:
    """Run the engine until killed."""
    app = create_app(
        f"{task.source}-decoding",
        f"kafka://{task.bootstrap}",
        instance="decoding",
        datadir=task.directory,
        session_timeout_s=6.0,
    )
    runtime = Runtime(app, EngineSettings("decoding"), {"bootstrap.servers": task.bootstrap})
    handler = Decoding(task)
    runtime.agent("decoding", task.source, task.pairs, lambda _: handler)
    return await run(runtime)


if __name__ == "__main__":
    sys.exit(asyncio.run(work(Task.parse())))
