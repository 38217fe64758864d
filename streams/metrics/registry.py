"""The registry of one worker: what the engine and the agents report becomes Prometheus series."""

import threading
import time
from collections import Counter as Tally
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from typing import Any, Final, cast

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from online_models.errors import InvalidParameterError
from streams.engine.observer import Observer
from streams.engine.partition import TopicPartition
from streams.metrics import table
from streams.metrics.table import TABLE, Metric

_WINDOW_S: Final = 300.0
_STEP_S: Final = 5.0
_FEW: Final = 100
"""Below so many events in the window a broken producer cannot be told from a single bad event."""


class Metrics(Observer):
    """Everything a worker measures, in a registry of its own; methods may be called from any thread.

    Counters count what was *applied*. Work that is thrown away and done again after a fault counts twice
    here; state, outputs and positions do not.

    Parameters
    ----------
    instance
        Name of the worker, shown in `keepstream_info`.
    reject_limit
        Share of rejected events above which `keepstream_reject_alert` is 1.
    clock, wall_clock
        Monotonic and Unix time, seconds.

    Examples
    --------
    >>> metrics = Metrics()
    >>> metrics.events(accepted=7, duplicates=1, rejects={"not_json": 2})
    >>> metrics.value("keepstream_events_rejected_total", reason="not_json")
    2.0
    """

    def __init__(
        self,
        instance: str = "",
        *,
        reject_limit: float = 0.05,
        clock: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        if not 0.0 <= reject_limit <= 1.0:
            raise InvalidParameterError(f"reject_limit must lie in 0..1, not {reject_limit}")
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]  # so declared there
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._series: dict[Metric, Any] = {metric: _collector(metric, self.registry) for metric in TABLE}
        self._clock, self._wall_clock = clock, wall_clock
        self._recent = _RecentRejects(clock)
        self._reject_limit = reject_limit
        self._lock = threading.Lock()
        self._oldest_waiting: float | None = None
        self._newest_waiting = 0.0
        self._gauge(table.REJECT_RATIO).set_function(self._recent.ratio)
        self._gauge(table.REJECT_ALERT).set_function(self._reject_alert)
        self._gauge(table.CHECKPOINT_AGE).set_function(self._checkpoint_age)
        self._gauge(table.INFO, version("keepstream"), instance).set(1)

    def render(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)

    def value(self, name: str, **labels: str) -> float:
        """Return the value of one series, 0 where it does not exist yet."""
        return self.registry.get_sample_value(name, labels) or 0.0

    # -- what the engine tells --------------------------------------------------------------------------

    def applied(self, agent: str, records: int, seconds: float) -> None:
        """Count a batch."""
        now = self._clock()
        with self._lock:
            self._newest_waiting = now
            if self._oldest_waiting is None:
                self._oldest_waiting = now
        self._counter(table.RECORDS_APPLIED, agent).inc(records)
        self._histogram(table.BATCH_TIME, agent).observe(seconds)
        self._histogram(table.BATCH_RECORDS, agent).observe(records)

    def committed(self, seconds: float, partitions: int, rows: int, outputs: int, size: int) -> None:  # noqa: ARG002  # the table has no use for `partitions`
        """Count a transaction."""
        began = self._clock() - seconds
        with self._lock:
            # What was applied while the transaction ran waits for the next one.
            waits = self._newest_waiting > began
            self._oldest_waiting = max(self._oldest_waiting or began, began) if waits else None
        self._counter(table.CHECKPOINTS).inc()
        self._histogram(table.CHECKPOINT_TIME).observe(seconds)
        self._histogram(table.CHECKPOINT_SIZE).observe(size)
        self._gauge(table.CHECKPOINT_LAST).set(self._wall_clock())
        self._counter(table.COMMITTED_ROWS).inc(rows)
        self._counter(table.COMMITTED_OUTPUTS).inc(outputs)

    def aborted(self, reason: str) -> None:
        """Count a transaction that will be tried again."""
        self._counter(table.ABORTS, reason).inc()

    def fenced(self, reason: str) -> None:
        """Count a refused commit."""
        with self._lock:
            self._oldest_waiting = None
        self._counter(table.FENCED, reason).inc()

    def restoring(self, source: TopicPartition, rows: int, offset: int, end: int) -> None:  # noqa: ARG002  # rows come with `restored`
        """Show the progress of a restore."""
        self._gauge(table.RESTORE_REMAINING, source.topic, str(source.partition)).set(max(0, end - offset))

    def restored(self, source: TopicPartition, rows: int, seconds: float) -> None:
        """Count a restore."""
        self._forget(table.RESTORE_REMAINING, source.topic, str(source.partition))
        self._histogram(table.RESTORE_TIME, source.topic).observe(seconds)
        self._counter(table.RESTORED_ROWS, source.topic).inc(rows)

    def dropped(self, source: TopicPartition) -> None:
        """Forget what was said of a partition that is no longer held."""
        self._counter(table.DROPPED, source.topic).inc()
        for metric in (table.RESTORE_REMAINING, table.LAG):
            self._forget(metric, source.topic, str(source.partition))

    def rewound(self, source: TopicPartition) -> None:
        """Count a rewind."""
        self._counter(table.REWINDS, source.topic).inc()

    def failed(self, agent: str) -> None:
        """Count an exception of a handler."""
        self._counter(table.APPLY_FAILURES, agent).inc()

    def poisoned(self, agent: str) -> None:
        """Count a record set aside."""
        self._counter(table.POISONED, agent).inc()

    def gap_accepted(self, source: TopicPartition, records: int) -> None:
        """Count offsets passed over."""
        self._counter(table.GAP, source.topic).inc(records)

    def lag(self, source: TopicPartition, records: int) -> None:
        """Show how far a partition lies behind."""
        self._gauge(table.LAG, source.topic, str(source.partition)).set(records)

    # -- what the agents tell ---------------------------------------------------------------------------

    def events(self, accepted: int, duplicates: int, rejects: Mapping[str, int]) -> None:
        """Count what became of a batch of events; `rejects` holds counts by reason."""
        self._counter(table.EVENTS_ACCEPTED).inc(accepted)
        self._counter(table.EVENTS_DUPLICATE).inc(duplicates)
        for reason, count in rejects.items():
            self._counter(table.EVENTS_REJECTED, reason).inc(count)
        rejected = sum(rejects.values())
        self._recent.add(accepted + duplicates + rejected, rejected)

    def event_time_lag(self, seconds: float) -> None:
        """Show how old the newest event was when it was applied."""
        self._gauge(table.EVENT_TIME_LAG).set(seconds)

    def outputs(self, topic: str, n: int) -> None:
        """Count records produced to a topic."""
        self._counter(table.OUTPUTS, topic).inc(n)

    def scores(self, n: int) -> None:
        """Count churn scores."""
        self._counter(table.SCORES).inc(n)

    def alerts(self, band: str, n: int) -> None:
        """Count churn alerts of a band of probability."""
        self._counter(table.ALERTS, band).inc(n)

    def lists(self, n: int) -> None:
        """Count published recommendation lists."""
        self._counter(table.LISTS).inc(n)

    def state(self, agent: str, rows: int, bytes: int) -> None:  # noqa: A002  # the unit is the name
        """Show the size of an agent's state on this worker."""
        self._gauge(table.STATE_ROWS, agent).set(rows)
        self._gauge(table.STATE_BYTES, agent).set(bytes)

    def model_quality(self, model: str, metric: str, value: float) -> None:
        """Show the prequential quality of a model."""
        self._gauge(table.MODEL_QUALITY, model, metric).set(value)

    def recommendation_quality(self, metric: str, value: float) -> None:
        """Show the prequential quality of recommendations."""
        self._gauge(table.RECOMMENDATION_QUALITY, metric).set(value)

    def drift(self, model: str) -> None:
        """Count a drift."""
        self._counter(table.DRIFTS, model).inc()

    # -- what the server tells --------------------------------------------------------------------------

    def standing(self, generation: int, held: Iterable[tuple[str, bool]], *, ready: bool) -> None:
        """Show which partitions are held now, as pairs of agent and whether it is open."""
        held = list(held)
        opened = Tally(agent for agent, is_open in held if is_open)
        assigned = Tally(agent for agent, _ in held)
        for metric, counts in ((table.PARTITIONS_ASSIGNED, assigned), (table.PARTITIONS_OPEN, opened)):
            self._series[metric].clear()
            for agent, count in counts.items():
                self._gauge(metric, agent).set(count)
        self._gauge(table.GENERATION).set(generation)
        self._gauge(table.READY).set(ready)

    def lookup(self, kind: str, status: int, seconds: float) -> None:
        """Count a lookup."""
        self._counter(table.LOOKUPS, kind, str(status)).inc()
        self._histogram(table.LOOKUP_TIME, kind).observe(seconds)

    def loop_lag(self, seconds: float) -> None:
        """Show by how much the event loop is late."""
        self._gauge(table.LOOP_LAG).set(seconds)

    # -- series -----------------------------------------------------------------------------------------

    def _counter(self, metric: Metric, *labels: str) -> Counter:
        return cast("Counter", self._labelled(metric, labels))

    def _gauge(self, metric: Metric, *labels: str) -> Gauge:
        return cast("Gauge", self._labelled(metric, labels))

    def _histogram(self, metric: Metric, *labels: str) -> Histogram:
        return cast("Histogram", self._labelled(metric, labels))

    def _labelled(self, metric: Metric, labels: tuple[str, ...]) -> Any:
        series = self._series[metric]
        return series.labels(*labels) if labels else series

    def _forget(self, metric: Metric, *labels: str) -> None:
        self._series[metric].remove(*labels)

    def _checkpoint_age(self) -> float:
        with self._lock:
            oldest = self._oldest_waiting
        return 0.0 if oldest is None else max(0.0, self._clock() - oldest)

    def _reject_alert(self) -> float:
        return float(self._recent.ratio() > self._reject_limit and self._recent.events() >= _FEW)


class _RecentRejects:
    """Events and rejects of the last minutes, summed up in short steps."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._steps: deque[list[float]] = deque()
        self._lock = threading.Lock()

    def add(self, events: int, rejected: int) -> None:
        with self._lock:
            now = self._clock()
            if not self._steps or now - self._steps[-1][0] >= _STEP_S:
                self._steps.append([now, 0, 0])
            self._steps[-1][1] += events
            self._steps[-1][2] += rejected

    def events(self) -> float:
        return self._sums()[0]

    def ratio(self) -> float:
        events, rejected = self._sums()
        return rejected / events if events else 0.0

    def _sums(self) -> tuple[float, float]:
        with self._lock:
            while self._steps and self._clock() - self._steps[0][0] > _WINDOW_S:
                self._steps.popleft()
            return sum(step[1] for step in self._steps), sum(step[2] for step in self._steps)


def _collector(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if metric.kind == "histogram":
        return Histogram(
            metric.name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets
        )
    kind = Counter if metric.kind == "counter" else Gauge
    return kind(metric.name, metric.meaning, metric.labels, registry=registry)
