"""The table of metrics, the registry fed from it, and the page printed from it."""

import inspect
import re
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from online_models.errors import InvalidParameterError
from online_models.experiments.book import ExperimentBook
from online_models.experiments.outcomes import ExperimentOutcomes, UserOutcome
from online_models.value.lifecycle import STAGES
from online_models.value.retention import RetentionBoard
from online_models.value.segments import SEGMENTS
from online_models.winback.uplift import Uplift
from streams.agents.experiments import results
from streams.agents.report import Report
from streams.engine.observer import Observer
from streams.engine.partition import TopicPartition
from streams.metrics import TABLE, Held, Metrics
from streams.metrics.page import page

SOURCE = TopicPartition("events", 3)
DOCS = Path(__file__).parents[2] / "docs"


class Clock:
    def __init__(self):
        self.now = 1_000.0

    def __call__(self):
        return self.now


def held(agent, partition, *, opened=True, unapplied=0):
    return Held(agent, TopicPartition(f"source of {agent}", partition), opened, unapplied)


def book_of_one():
    """Return a book with a user of a control and one of another variant."""
    book = ExperimentBook()
    users = [UserOutcome("e", name, name == "a", 0, 1, (0.5, 1.0, 0.0)) for name in "ab"]
    book.apply(ExperimentOutcomes.of(users))
    return book


def feed_everything(metrics):
    """Call every method of `Metrics` that reports something, once."""
    metrics.applied("users", 10, 0.01)
    metrics.committed(0.02, 4, 30, 5, 2_000)
    metrics.aborted("COORDINATOR_LOAD_IN_PROGRESS")
    metrics.fenced("FencedError")
    metrics.restored(SOURCE, 100, 0.5)
    metrics.dropped(SOURCE)
    metrics.restoring(SOURCE, 100, 50, 200)
    metrics.rewound(SOURCE)
    metrics.failed("users")
    metrics.poisoned("users")
    metrics.gap_accepted(SOURCE, 7)
    metrics.lag(SOURCE, 12)
    metrics.events(accepted=8, duplicates=1, rejects={"not_json": 1})
    metrics.event_time(0, 1_700_000_000_000)
    metrics.outputs("recommendations.v1", 3)
    metrics.scores(4)
    metrics.alerts("high", 1)
    metrics.withheld("budget", 2)
    metrics.interventions("coupon", 1)
    metrics.uplift("coupon", Uplift(30, 10, 0.3, 0.1, 0.02, 0.18, 1.5, 5.0))
    stages, segments = dict.fromkeys(STAGES[1:], 3), dict.fromkeys(SEGMENTS[1:], 2)
    metrics.board(0, RetentionBoard(0, 15, 4, 7, 9, 1, 8, 2, stages, segments, 99.5, ()))
    metrics.lists(2, {"ranked": 40})
    metrics.shop(100, 3)
    metrics.experiments(results(book_of_one(), 0.05))
    metrics.state("users", 0, 100, 4_096)
    metrics.evicted("users", "idle", 2)
    metrics.dedupe(0, 100, 3)
    metrics.broadcast_items(50, 4_096)
    metrics.model_quality("churn", "log_loss", 0.4)
    metrics.recommendation_quality("hit_rate", 0.3)
    metrics.drift("churn")
    metrics.feature_drift("recency")
    metrics.broadcast_taken("keepstream.models.v1", 1)
    metrics.broadcast_refused("keepstream.models.v1")
    metrics.standing(3, [held("users", 0), held("users", 1, opened=False), held("trainer", 0)], ready=False)
    metrics.lookup("user", 200, 0.001)
    metrics.loop_lag(0.002)


def exported(metrics):
    families = text_string_to_metric_families(metrics.render().decode())
    return {sample.name: sample for family in families for sample in family.samples}


class TestTable:
    @pytest.mark.parametrize("metric", TABLE, ids=lambda metric: metric.name)
    def test_names_follow_the_rules_of_prometheus(self, metric):
        assert re.fullmatch(r"keepstream(_[a-z0-9]+)+", metric.name)
        assert (metric.kind == "counter") == metric.name.endswith("_total")
        assert not re.search(r"_(ms|milliseconds|minutes|hours|kb|mb|percent|count|sum|bucket)$", metric.name)
        assert metric.name.endswith(("_seconds", "_bytes")) or metric.unit not in ("seconds", "bytes")
        assert metric.meaning.endswith(".")
        assert bool(metric.buckets) == (metric.kind == "histogram")
        assert list(metric.buckets) == sorted(set(metric.buckets))

    def test_no_label_can_hold_an_id(self):
        few = {"agent", "topic", "partition", "reason", "band", "model", "metric", "kind", "status"}
        few |= {"action", "bound", "window", "stage", "segment", "experiment", "variant", "feature"}
        assert {label for metric in TABLE for label in metric.labels} <= few | {"version"}

    def test_names_are_unique(self):
        assert len({metric.name for metric in TABLE}) == len(TABLE)

    def test_the_documentation_is_current(self):
        assert (DOCS / "metrics.md").read_text(encoding="utf-8") == page()


class TestMetrics:
    def test_every_metric_of_the_table_is_fed_by_a_method(self):
        metrics = Metrics()
        feed_everything(metrics)
        names = set(exported(metrics))
        for metric in TABLE:
            assert {metric.name, f"{metric.name}_count"} & names, metric.name

    @pytest.mark.parametrize("base", [Observer, Report])
    def test_every_measurement_of_engine_and_agents_is_taken(self, base):
        for name, _ in inspect.getmembers(base, inspect.isfunction):
            assert name in vars(Metrics), name

    def test_what_can_be_counted_is_there_before_it_is_counted(self):
        """Prometheus computes no increase for a series that begins with its first count."""
        metrics = Metrics()
        for metric in TABLE:
            if metric.kind == "counter" and len(metric.labels) == 1 and metric.labels[0] != "topic":
                for value in metric.values:
                    assert f'{metric.name}{{{metric.labels[0]}="{value}"}} 0.0' in metrics.render().decode()
        assert {m.name for m in TABLE if m.values} >= {
            "keepstream_events_rejected_total",
            "keepstream_feature_drifts_total",
            "keepstream_fenced_total",
            "keepstream_model_drifts_total",
            "keepstream_poisoned_records_total",
        }

    def test_a_broadcast_tells_when_it_came(self):
        clock = Clock()
        metrics = Metrics(wall_clock=clock)
        metrics.broadcast_taken("models", 0)
        assert 'keepstream_broadcast_refused_total{topic="models"} 0.0' in metrics.render().decode()
        clock.now += 5
        metrics.broadcast_taken("models", 3)
        metrics.broadcast_refused("models")
        assert metrics.value("keepstream_broadcast_rows_total", topic="models") == 3
        assert metrics.value("keepstream_broadcast_refused_total", topic="models") == 1
        assert metrics.value("keepstream_broadcast_last_timestamp_seconds", topic="models") == 1_005

    def test_two_workers_of_one_process_do_not_share_series(self):
        first, second = Metrics(), Metrics()
        first.lists(5, {})
        assert second.value("keepstream_recommendation_lists_total") == 0

    def test_what_a_lost_partition_said_is_forgotten(self):
        metrics = Metrics()
        metrics.lag(SOURCE, 12)
        metrics.standing(1, [Held("users", SOURCE, opened=True, unapplied=0)], ready=True)
        metrics.restoring(SOURCE, 1, 2, 3)
        metrics.dropped(SOURCE)
        assert 'topic="events",partition' not in metrics.render().decode().replace("partition=", "partition")
        assert metrics.value("keepstream_lag_records", topic="events", partition="3") == 0

    def test_a_partition_that_was_never_measured_can_be_dropped(self):
        Metrics().dropped(SOURCE)

    def test_what_is_held_no_longer_is_forgotten(self):
        metrics = Metrics()
        for agent, partition in (("users", 0), ("users", 1), ("items", 0), ("trainer", 0)):
            metrics.state(agent, partition, 10, 100)
        metrics.model_quality("churn", "auc", 0.8)
        held_first = [held("users", 0), held("users", 1), held("items", 0, opened=False), held("trainer", 0)]
        metrics.standing(1, held_first, ready=False)
        metrics.standing(2, [held("users", 0)], ready=True)
        text = metrics.render().decode()
        assert metrics.value("keepstream_partitions_open", agent="users") == 1
        assert 'keepstream_partitions_open{agent="items"' not in text
        assert 'agent="users",partition="1"' not in text
        assert 'keepstream_model_quality{model="churn"' not in text

    def test_lag_counts_what_is_not_applied_yet(self):
        metrics = Metrics()
        metrics.lag(SOURCE, 12)
        metrics.standing(1, [Held("users", SOURCE, opened=True, unapplied=30)], ready=True)
        assert metrics.value("keepstream_lag_records", topic="events", partition="3") == 42

    def test_event_time_lag_is_counted_from_the_wall_clock(self):
        clock = Clock()
        metrics = Metrics(wall_clock=clock)
        metrics.event_time(3, 990_000)
        clock.now += 5
        assert metrics.value("keepstream_event_time_lag_seconds", partition="3") == 15

    def test_a_limit_outside_its_range_is_named(self):
        with pytest.raises(InvalidParameterError, match=r"reject_limit .* 1\.5"):
            Metrics(reject_limit=1.5)


class TestCheckpointAge:
    def test_it_is_zero_while_nothing_waits(self):
        clock = Clock()
        metrics = Metrics(clock=clock)
        clock.now += 60
        assert metrics.value("keepstream_checkpoint_age_seconds") == 0

    def test_it_counts_from_the_first_batch_not_yet_committed(self):
        clock = Clock()
        metrics = Metrics(clock=clock)
        metrics.applied("users", 1, 0.001)
        clock.now += 2
        metrics.applied("users", 1, 0.001)
        clock.now += 3
        assert metrics.value("keepstream_checkpoint_age_seconds") == 5
        metrics.committed(1.0, 1, 1, 1, 1)
        clock.now += 60
        assert metrics.value("keepstream_checkpoint_age_seconds") == 0

    def test_a_batch_applied_while_a_transaction_ran_waits_for_the_next(self):
        clock = Clock()
        metrics = Metrics(clock=clock)
        metrics.applied("users", 1, 0.001)
        clock.now += 4
        metrics.applied("users", 1, 0.001)
        metrics.committed(1.0, 1, 1, 1, 1)
        clock.now += 2
        assert 2 <= metrics.value("keepstream_checkpoint_age_seconds") <= 3


class TestRejectAlert:
    def test_it_rises_with_the_share_of_rejects_and_falls_again(self):
        clock = Clock()
        metrics = Metrics(clock=clock, reject_limit=0.1)
        metrics.events(900, 0, {"not_json": 90})
        assert metrics.value("keepstream_reject_alert") == 0
        metrics.events(0, 0, {"not_json": 50})
        assert metrics.value("keepstream_reject_alert") == 1
        clock.now += 301
        assert metrics.value("keepstream_reject_alert") == 0
        assert metrics.value("keepstream_reject_ratio") == 0

    def test_one_bad_event_in_a_quiet_hour_is_no_alarm(self):
        metrics = Metrics(reject_limit=0.1)
        metrics.events(1, 0, {"not_json": 1})
        assert metrics.value("keepstream_reject_ratio") == 0.5
        assert metrics.value("keepstream_reject_alert") == 0
