"""The parts of the demo that need no broker: its equations, its settings, its screen."""

from collections import Counter, deque
from types import SimpleNamespace

import pytest
from rich.console import Console

from streams.demo.board import Gauges
from streams.demo.report import checks, quality
from streams.demo.setting import settings_of, shop_of, write_config
from streams.demo.summary import print_summary
from streams.demo.view import Scene
from streams.metrics import Metrics, table
from streams.schemas import ChurnAlert, Origin, Recommendation, RecommendedItem

ORIGIN = Origin("users", "churn", "t", 0, 7)
ALERT = ChurnAlert("a", "u:c-1", "c-1", 5, "churn-1", ORIGIN, 0.87, 0.8, 9, ["quiet 12.3 d"], "cart_reminder")
LIST = Recommendation(
    "0-7", "u:c-1", 5, "base", ORIGIN, [RecommendedItem("sku-1", 1.0, "popular now")] * 3, "c-1"
)


def gauges_after(metrics):
    """Return gauges that have read these metrics over HTTP's text format."""
    gauges = Gauges("http://nowhere")
    gauges._opener = SimpleNamespace(open=lambda *_, **__: _Answer(metrics.render()))
    assert gauges.read()
    return gauges


class _Answer:
    def __init__(self, body):
        self._body = body

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def read(self):
        return self._body


def outputs_with(**more):
    fields = {
        "alerts": deque(),
        "lists": deque(),
        "alert_count": 0,
        "list_count": 0,
        "dead_letters": Counter(),
    }
    return SimpleNamespace(recency_auc=lambda: None, **(fields | more))


def feeder_with(**more):
    fields = {"sent": 0, "repeated": 0, "broken": Counter(), "first_ms": 0, "now_ms": 0}
    return SimpleNamespace(**(fields | more))


class TestChecks:
    def test_they_hold_when_every_event_is_accounted_for(self):
        metrics = Metrics()
        metrics.events(7, 1, {"not_json": 2})
        feeder = feeder_with(sent=10, repeated=1, broken=Counter(not_json=2))
        found = checks(feeder, gauges_after(metrics), outputs_with(dead_letters=Counter(not_json=2)))
        assert all(check.holds for check in found)

    @pytest.mark.parametrize(
        ("accepted", "duplicates", "rejects", "wrong"),
        [
            (6, 1, {"not_json": 2}, {"accepted", "all events"}),
            (7, 2, {"not_json": 2}, {"duplicates dropped", "all events"}),
            (7, 1, {"not_json": 1, "too_late": 1}, {"rejected: not_json", "rejected: too_late"}),
            (7, 1, {"not_json": 3}, {"rejected: not_json", "all events", "dead letters"}),
        ],
    )
    def test_each_way_to_be_wrong_is_named(self, accepted, duplicates, rejects, wrong):
        metrics = Metrics()
        metrics.events(accepted, duplicates, rejects)
        feeder = feeder_with(sent=10, repeated=1, broken=Counter(not_json=2))
        found = checks(feeder, gauges_after(metrics), outputs_with(dead_letters=Counter(not_json=2)))
        assert {check.name for check in found if not check.holds} == wrong


class TestGauges:
    def test_series_are_found_whatever_order_their_labels_have_in_the_text(self):
        metrics = Metrics()
        metrics.model_quality("churn", "auc", 0.75)
        assert gauges_after(metrics).value(table.MODEL_QUALITY, "churn", "auc") == 0.75

    def test_a_worker_that_does_not_answer_is_no_error(self):
        assert not Gauges("http://127.0.0.1:1").read()


class TestSettings:
    def test_the_readers_environment_does_not_reach_the_demo(self, tmp_path, monkeypatch):
        monkeypatch.setenv("KEEPSTREAM_TOPIC_PREFIX", "production.")
        settings = settings_of(write_config(tmp_path), "127.0.0.1:5")
        assert settings.broker.topic_prefix == ""
        assert settings.churn.horizon.days == 7
        assert settings.engine.data_dir == tmp_path

    def test_the_shop_goes_on_for_ever(self):
        assert shop_of(3).days is None


class TestScreen:
    def drawn(self, outputs, width=100):
        metrics = Metrics()
        metrics.events(1_000, 0, {"not_json": 2})
        gauges = gauges_after(metrics)
        console = Console(width=width, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123  # discarded
        console.print(Scene(feeder_with(sent=1_200), gauges, outputs, "Title", ["hint"]))
        return console.export_text()

    def test_it_fits_a_terminal_of_a_hundred_columns(self):
        outputs = outputs_with(alerts=deque([ALERT]), lists=deque([LIST]), alert_count=1, list_count=1)
        text = self.drawn(outputs)
        assert max(map(len, text.splitlines())) <= 100
        assert len(text.splitlines()) <= 33
        for part in ("c-1 87% cart reminder quiet 12.3 d", "sku-1 popular now", "not json", "waiting 198"):
            assert part in text

    def test_it_says_what_is_missing_at_the_start(self):
        assert "labels mature 7 days after a check" in self.drawn(outputs_with())

    def test_the_summary_says_whether_the_counts_differ(self, capsys):
        feeder, gauges = feeder_with(sent=1), gauges_after(Metrics())
        found = checks(feeder, gauges, outputs_with())
        print_summary(found, quality(gauges, outputs_with()), outputs_with(), Console(highlight=False))
        out = capsys.readouterr().out
        assert "The counts differ" in out
        assert "DIFFERENT" in out
