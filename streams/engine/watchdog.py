"""Ends a worker that stands still although there is work: idleness must never be silent."""

import asyncio
import faulthandler
import io
import logging
import sys
import time
from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from confluent_kafka import IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]  # not re-exported

from streams.engine.partition import TopicPartition as Source
from streams.engine.settings import EngineSettings
from streams.errors import StalledError

if TYPE_CHECKING:
    from streams.engine.runtime import Runtime

log = logging.getLogger(__name__)

_LOOK_S: Final = 5.0
_ANSWER_S: Final = 5.0
_JOINING: Final = "joining"
_UNINFORMED: Final = "uninformed"
_BEHIND: Final = "behind"


class Stillness:
    """Tells how long things have not changed.

    Examples
    --------
    >>> still = Stillness()
    >>> [still.seconds("p", mark, now_s=now_s) for mark, now_s in ((7, 10.0), (7, 15.0), (8, 20.0))]
    [0.0, 5.0, 0.0]
    """

    def __init__(self) -> None:
        self._since: dict[Hashable, tuple[object, float]] = {}

    def seconds(self, name: Hashable, mark: object, *, now_s: float) -> float:
        """Return for how long `mark` has been the same under this name."""
        known, since = self._since.get(name, (None, now_s))
        if known != mark:
            since = now_s
        self._since[name] = (mark, since)
        return now_s - since

    def keep(self, names: Iterable[Hashable]) -> None:
        """Forget all other names."""
        kept = set(names)
        self._since = {name: since for name, since in self._since.items() if name in kept}


class Watchdog:
    """Looks at a worker from outside its own flow of control.

    A client library can lose a request, a group can forget a member, and all that shows is that nothing
    happens. So every few seconds: has the group admitted this worker, has it read what its handlers go by,
    and does every partition whose log goes on move? Nobody is blamed while the broker itself does not answer.
    The ends of the logs that it is told say how far the worker lies behind: a fetch knows an end only as it
    was when the broker sent it.

    Parameters
    ----------
    runtime
        The worker.
    config
        confluent-kafka settings that reach the broker.
    settings
        Its deadlines.
    """

    def __init__(self, runtime: "Runtime", config: Mapping[str, str | int], settings: EngineSettings) -> None:
        self._runtime, self._config, self._settings = runtime, config, settings
        self._still = Stillness()
        self._admin: AdminClient | None = None

    async def run(self) -> None:
        """Look again and again until the worker stops; end it where it is stuck."""
        while True:
            await asyncio.sleep(_LOOK_S)
            reason = await self.look(time.monotonic())
            if reason is not None:
                _dump_threads()
                self._runtime.fail(StalledError(f"{reason}; ending this worker so that it is started anew"))
                return

    async def look(self, now_s: float) -> str | None:
        """Return why the worker counts as stuck, None where it does not.

        Parameters
        ----------
        now_s
            Monotonic time, seconds.
        """
        runtime, still = self._runtime, self._still
        marks = {p.source: (p.life, p.position, p.fetch_next) for p in runtime.readable()}
        still.keep([_JOINING, _UNINFORMED, *marks, *((_BEHIND, source) for source in marks)])
        joining_s = still.seconds(_JOINING, runtime.joining, now_s=now_s)
        informed = runtime.informed()
        uninformed_s = still.seconds(_UNINFORMED, informed, now_s=now_s)
        idle = [source for source, mark in marks.items() if still.seconds(source, mark, now_s=now_s) > 0]
        unadmitted = runtime.joining and joining_s > self._settings.join_deadline_s
        unaware = not informed and uninformed_s > self._settings.stall_deadline_s
        if not unadmitted and not unaware and not marks:
            return None
        ends = await asyncio.to_thread(self._stable_ends, list(marks))
        self._tell_lag(ends or {})
        if ends is None:
            # The broker is away: whoever waits for it is not stuck, and has the full time once it is back.
            still.keep([])
            return None
        if unadmitted:
            return f"the group has not admitted this worker for {joining_s:.0f} s"
        if unaware:
            return f"the broadcast topics could not be read for {uninformed_s:.0f} s"
        for source in idle:
            mark, end = marks[source], ends[source]
            behind_s = still.seconds((_BEHIND, source), (mark, end > mark[1]), now_s=now_s)
            if end > mark[1] and behind_s > self._settings.stall_deadline_s:
                return f"{source} has stood at {mark[1]} for {behind_s:.0f} s while its log goes on to {end}"
        return None

    def _tell_lag(self, ends: Mapping[Source, int]) -> None:
        for partition in self._runtime.readable():
            if (end := ends.get(partition.source)) is not None:
                partition.log_end = end
                self._runtime.observer.lag(partition.source, max(0, end - partition.fetch_next))

    def _stable_ends(self, sources: Iterable[Source]) -> dict[Source, int] | None:
        """Return the ends of logs for those who read committed; None where the broker does not answer."""
        if self._admin is None:
            self._admin = AdminClient(dict(self._config))
        asked = {TopicPartition(s.topic, s.partition): OffsetSpec.latest() for s in sources}  # type: ignore[no-untyped-call]
        try:
            if not asked:
                self._admin.list_topics(timeout=_ANSWER_S)
                return {}
            found = self._admin.list_offsets(
                asked, isolation_level=IsolationLevel.READ_COMMITTED, request_timeout=_ANSWER_S
            )
            return {Source(tp.topic, tp.partition): f.result(_ANSWER_S).offset for tp, f in found.items()}
        except (KafkaException, TimeoutError) as error:
            log.info("the broker does not answer: %s", error)
            self._admin = None  # one that knew the broker before its restart may be refused for ever
            return None


def _dump_threads() -> None:
    """Write where every thread stands to standard error: what a report of the cause needs."""
    try:
        faulthandler.dump_traceback(sys.stderr)
    except (AttributeError, io.UnsupportedOperation, ValueError):
        log.info("standard error is no file, so no thread dump")
