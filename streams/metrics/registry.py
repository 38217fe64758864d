"""The registry of one worker: what the engine and the agents report becomes Prometheus series."""

import threading
import time
from collections import Counter as Tally
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import version
from typing import Any, Final, cast

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from online_models.errors import InvalidParameterError
from online_models.value.retention import RetentionBoard
from online_models.winback.uplift import Uplift
from streams.agents.report import Report
from streams.engine.observer import Observer
from streams.engine.partition import TopicPartition
from streams.metrics import table
from streams.metrics.held import Held
from streams.metrics.metric import Metric
from streams.metrics.rejects import RecentRejects
from streams.metrics.table import TABLE
from streams.schemas import ExperimentResults

_FEW: Final = 100
"""Below so many events in the window a broken producer cannot be told from a single bad event."""


class Metrics(Observer, Report):
    """Everything a worker measures, in a registry of its own; methods may be called from any thread.

    Counters count what was *applied*. Work that is thrown away and done again after a fault counts twice
    here; state, outputs and positions do not.

    Parameters
    ----------
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
        self._children: dict[str, dict[tuple[str, ...], Any]] = {metric.name: {} for metric in TABLE}
        self._clock, self._wall_clock = clock, wall_clock
        self._recent = RecentRejects(clock)
        self._reject_limit = reject_limit
        self._lock = threading.Lock()
        self._oldest_waiting: float | None = None
        self._newest_waiting = 0.0
        self._unfetched: dict[TopicPartition, int] = {}
        self._gauge(table.REJECT_RATIO).set_function(self._recent.ratio)
        self._gauge(table.REJECT_ALERT).set_function(self._reject_alert)
        self._gauge(table.CHECKPOINT_AGE).set_function(self._checkpoint_age)
        self._gauge(table.INFO, version("keepstream")).set(1)
        for metric in TABLE:
            for value in metric.values:
                self._counter(metric, value)

    def render(self) -> bytes:
        """Return all series in Prometheus' text format."""
        return prometheus_client.generate_latest(self.registry)

    def value(self, name: str, **labels: str) -> float:
        """Return the value of one series, 0 where it does not exist yet."""
        # Of the whole registry every metric would be collected for it, those of the process among them.
        families = self.registry.restricted_registry([name]).collect()
        samples = (sample for family in families for sample in family.samples)
        return next((one.value for one in samples if one.name == name and one.labels == labels), 0.0)

    def values(self, metric: Metric) -> list[tuple[tuple[str, ...], float]]:
        """Return labels and value of every series of a counter or gauge."""
        samples = self._series[metric].collect()[0].samples
        return [(tuple(sample.labels.values()), sample.value) for sample in samples]

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
        self._unfetched.pop(source, None)
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
        """Note how many records are still to be fetched."""
        self._unfetched[source] = records

    # -- what the agents tell ---------------------------------------------------------------------------

    def events(self, accepted: int, duplicates: int, rejects: Mapping[str, int]) -> None:
        """Count what became of a batch of events; `rejects` holds counts by reason."""
        self._counter(table.EVENTS_ACCEPTED).inc(accepted)
        self._counter(table.EVENTS_DUPLICATE).inc(duplicates)
        for reason, count in rejects.items():
            self._counter(table.EVENTS_REJECTED, reason).inc(count)
        rejected = sum(rejects.values())
        self._recent.add(accepted + duplicates + rejected, rejected)

    def muted(self, reason: str, count: int) -> None:
        """Count accepted events that are not learned from."""
        self._counter(table.EVENTS_MUTED, reason).inc(count)

    def event_time(self, partition: int, clock_ms: int) -> None:
        """Show how far the clock of a partition of events lies behind the wall clock, whenever asked."""
        self._gauge(table.EVENT_TIME_LAG, str(partition)).set_function(
            lambda: self._wall_clock() - clock_ms / 1000
        )

    def outputs(self, topic: str, count: int) -> None:
        """Count records produced to a topic."""
        self._counter(table.OUTPUTS, topic).inc(count)

    def scores(self, count: int) -> None:
        """Count churn scores."""
        self._counter(table.SCORES).inc(count)

    def alerts(self, band: str, count: int) -> None:
        """Count churn alerts of a band of probability."""
        self._counter(table.ALERTS, band).inc(count)

    def withheld(self, reason: str, count: int) -> None:
        """Count alerts that were not sent."""
        self._counter(table.WITHHELD, reason).inc(count)

    def interventions(self, action: str, count: int) -> None:
        """Count win-back decisions."""
        self._counter(table.INTERVENTIONS, action).inc(count)

    def uplift(self, action: str, uplift: Uplift) -> None:
        """Show what an action has come to."""
        self._gauge(table.WINBACK_OUTCOMES, action).set(uplift.cases)
        self._gauge(table.WINBACK_RATE, action).set(uplift.rate)
        self._gauge(table.WINBACK_SPEND, action).set(uplift.spend_uplift)
        for bound, value in (("value", uplift.uplift), ("low", uplift.low), ("high", uplift.high)):
            self._gauge(table.WINBACK_UPLIFT, action, bound).set(value)

    def board(self, partition: int, board: RetentionBoard) -> None:
        """Show the retention board of a partition."""
        number = str(partition)
        windows = {"day": board.daily, "week": board.weekly, "month": board.monthly}
        for window, count in windows.items():
            self._gauge(table.ACTIVE_CUSTOMERS, number, window).set(count)
        for stage, count in board.stages.items():
            self._gauge(table.CUSTOMERS, number, stage).set(count)
        for segment, count in board.segments.items():
            self._gauge(table.SEGMENTS, number, segment).set(count)
        self._gauge(table.CUSTOMERS_AT_STAKE, number).set(board.at_stake)
        self._gauge(table.CUSTOMERS_CHURNED, number).set(board.churned)
        self._gauge(table.EXPECTED_VALUE, number).set(board.expected_value)

    def lists(self, count: int, ways: Mapping[str, int]) -> None:
        """Count published recommendation lists and what put items into them."""
        self._counter(table.LISTS).inc(count)
        for way, items in ways.items():
            self._counter(table.LISTED_ITEMS, way).inc(items)

    def experiments(self, results: ExperimentResults) -> None:
        """Show what has come of experiments; what is not known yet is left out."""
        for one, variant in [(each, variant) for each in results.experiments for variant in each.variants]:
            self._gauge(table.EXPERIMENT_USERS, one.name, variant.name).set(variant.users)
            for name, found in variant.measures.items():
                told = {"rate": found.rate}
                if not variant.control:
                    told |= {"difference": found.difference}
                    told |= {"low": found.difference_low, "high": found.difference_high}
                for bound, value in told.items():
                    if value is not None:
                        self._gauge(table.EXPERIMENT_ESTIMATE, one.name, variant.name, name, bound).set(value)

    def shop(self, items: int, rules: int) -> None:
        """Show the size of the catalogue, and how many rules there are."""
        self._gauge(table.CATALOG_ITEMS).set(items)
        self._gauge(table.LIST_RULES).set(rules)

    def state(self, agent: str, partition: int, rows: int, size: int) -> None:
        """Show the size of a partition's state, in rows and bytes."""
        self._gauge(table.STATE_ROWS, agent, str(partition)).set(rows)
        self._gauge(table.STATE_BYTES, agent, str(partition)).set(size)

    def evicted(self, agent: str, reason: str, rows: int) -> None:
        """Count rows of state forgotten."""
        self._counter(table.EVICTED, agent, reason).inc(rows)

    def dedupe(self, partition: int, ids: int, dropped: int) -> None:
        """Show how many event ids are remembered, and count those dropped too early."""
        self._gauge(table.DEDUPE_IDS, str(partition)).set(ids)
        self._counter(table.DEDUPE_DROPPED).inc(dropped)

    def broadcast_items(self, rows: int, size: int) -> None:
        """Show the size of the table of neighbours."""
        self._gauge(table.BROADCAST_ITEMS).set(rows)
        self._gauge(table.BROADCAST_BYTES).set(size)

    def model_quality(self, model: str, metric: str, value: float) -> None:
        """Show the prequential quality of a model."""
        self._gauge(table.MODEL_QUALITY, model, metric).set(value)

    def recommendation_quality(self, metric: str, value: float) -> None:
        """Show the prequential quality of recommendations."""
        self._gauge(table.RECOMMENDATION_QUALITY, metric).set(value)

    def drift(self, model: str) -> None:
        """Count a drift."""
        self._counter(table.DRIFTS, model).inc()

    def feature_drift(self, feature: str) -> None:
        """Count a change of a feature's mean."""
        self._counter(table.FEATURE_DRIFTS, feature).inc()

    def broadcast_taken(self, topic: str, rows: int) -> None:
        """Count rows of a broadcast topic, and note when they came."""
        self._counter(table.BROADCAST_ROWS, topic).inc(rows)
        self._gauge(table.BROADCAST_LAST, topic).set(self._wall_clock())
        self._counter(table.BROADCAST_REFUSED, topic)

    def broadcast_refused(self, topic: str) -> None:
        """Count a broadcast record that could not be read."""
        self._counter(table.BROADCAST_REFUSED, topic).inc()

    # -- what the server tells --------------------------------------------------------------------------

    def standing(self, generation: int, held: Sequence[Held], *, ready: bool) -> None:
        """Show what is held now, and forget what is not."""
        assigned = Tally(one.agent for one in held)
        opened = Tally(one.agent for one in held if one.opened)
        for metric, counts in ((table.PARTITIONS_ASSIGNED, assigned), (table.PARTITIONS_OPEN, opened)):
            self._keep(metric, {(agent,) for agent in assigned})
            for agent in assigned:
                self._gauge(metric, agent).set(counts[agent])
        states: set[tuple[str, ...]] = {(one.agent, str(one.source.partition)) for one in held}
        self._keep(table.STATE_ROWS, states)
        self._keep(table.STATE_BYTES, states)
        mine = {state[1] for state in states if state[0] == "users"}
        for metric in table.BOARD:
            self._keep(metric, {found for found, _ in self.values(metric) if found[0] in mine})
        for metric in (table.EVENT_TIME_LAG, table.DEDUPE_IDS):
            self._keep(metric, {state[1:] for state in states if state[0] == "users"})
        if "trainer" not in assigned:
            for metric in table.WINBACK:
                self._keep(metric, set())
        learning = {"ranker": "ranker" in assigned}
        qualities = {labels for labels, _ in self.values(table.MODEL_QUALITY)}
        self._keep(
            table.MODEL_QUALITY,
            {labels for labels in qualities if learning.get(labels[0], "trainer" in assigned)},
        )
        for one in held:
            labels = (one.source.topic, str(one.source.partition))
            unfetched = self._unfetched.get(one.source, 0)
            self._gauge(table.LAG, *labels).set(unfetched + one.unapplied)
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
        children = self._children[metric.name]
        found = children.get(labels)
        if found is None:
            series = self._series[metric]
            found = children[labels] = series.labels(*labels) if labels else series
        return found

    def _forget(self, metric: Metric, *labels: str) -> None:
        self._children[metric.name].pop(labels, None)
        self._series[metric].remove(*labels)

    def _keep(self, metric: Metric, labels: set[tuple[str, ...]]) -> None:
        """Forget the series whose labels are not among those given."""
        for old in {found for found, _ in self.values(metric)} - labels:
            self._forget(metric, *old)

    def _checkpoint_age(self) -> float:
        with self._lock:
            oldest = self._oldest_waiting
        return 0.0 if oldest is None else max(0.0, self._clock() - oldest)

    def _reject_alert(self) -> float:
        return float(self._recent.ratio() > self._reject_limit and self._recent.events() >= _FEW)


def _collector(metric: Metric, registry: CollectorRegistry) -> Counter | Gauge | Histogram:
    if metric.kind == "histogram":
        return Histogram(
            metric.name, metric.meaning, metric.labels, registry=registry, buckets=metric.buckets
        )
    kind = Counter if metric.kind == "counter" else Gauge
    return kind(metric.name, metric.meaning, metric.labels, registry=registry)
