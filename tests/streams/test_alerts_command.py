"""`keepstream alerts simulate` on a small log: figures, the settings it obeys, and clear errors."""

import json
import random

import pytest

from streams.cli import run
from tests.streams.test_evaluate_command import DAY_MS, START_MS, event, write


@pytest.fixture
def purchases(tmp_path, monkeypatch):
    """Regulars who buy every other day, half of whom leave after a while."""
    monkeypatch.setenv("KEEPSTREAM_MIN_LABELS", "3")
    monkeypatch.setenv("KEEPSTREAM_LANDMARK_INTERVAL", "1d")
    chance, events = random.Random(4), []
    for user in range(24):
        leaves, day = chance.uniform(8, 30) if user % 2 else 99, chance.uniform(0, 3)
        while day < min(leaves, 40):
            events.append(event(len(events), f"u{user}", START_MS + int(day * DAY_MS), name="purchase"))
            day += chance.uniform(1, 3)
    return write(tmp_path / "purchases.jsonl", events)


def simulated(capsys, *arguments):
    assert run(["alerts", "simulate", "--horizon", "4d", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


class TestSimulate:
    def test_it_says_how_many_how_rightly_and_how_early(self, purchases, capsys):
        found = simulated(capsys, "--events", purchases, "--threshold", "0.15", "--budget", "2")
        assert found["alerts"] == sum(found["per_day"].values()) >= found["users"] > 3
        assert max(found["per_day"].values()) <= 2
        assert found["precision"]["low"] < found["precision"]["share"] <= found["precision"]["high"]
        assert 0 < found["lead_days"] < 4

    def test_quiet_hours_are_obeyed_and_a_table_is_for_people(self, purchases, capsys):
        quiet = ("--quiet-hours", "00:00-23:59", "--time-zone", "UTC")
        arguments = ("--events", purchases, "--horizon", "4d", "--threshold", "0.15")
        assert run(["alerts", "simulate", *arguments, *quiet]) == 0
        text = capsys.readouterr().out
        assert text.startswith("0 alerts to 0 users")
        assert "by quiet" in text

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--quiet-hours", "21:00-08:00"), "time_zone must be a name"),
            (("--rule", "luck"), "one of risk, value, effect is needed"),
        ],
    )
    def test_wrong_settings_are_named(self, purchases, capsys, arguments, said):
        assert run(["alerts", "simulate", "--events", purchases, *arguments]) == 1
        assert said in capsys.readouterr().err
