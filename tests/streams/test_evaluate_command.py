"""`keepstream evaluate` on small files: figures, settings, what was left out, and clear errors."""

import json
import random
from pathlib import Path

import pytest

from streams.cli import run

DAY_MS = 86_400_000
START_MS = 1_700_000_000_000


def write(path, events):
    lines = [one if isinstance(one, str) else json.dumps(one) for one in events]
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def event(number, user, time_ms, item="", name="view_item"):
    who = {"anonymous_id": user[2:]} if user.startswith("a:") else {"user_id": user}
    what = {"item_id": item} if item else {}
    return {"event_id": f"e{number}", "event_name": name, "event_time": time_ms} | who | what


@pytest.fixture
def clicks(tmp_path):
    """Sessions that walk through one of ten chains of five items."""
    chance, events = random.Random(3), []
    for session in range(200):
        chain = chance.randrange(10)
        for step in range(5):
            time = START_MS + session * 60_000 + step * 1000
            events.append(event(len(events), f"a:{session}", time, f"item-{chain}-{step}"))
    return write(tmp_path / "clicks.jsonl", events)


@pytest.fixture
def purchases(tmp_path):
    """Regulars who buy every few days, half of whom leave after a while."""
    chance, events = random.Random(4), []
    for user in range(60):
        leaves = chance.uniform(20, 120) if user % 2 else 200
        day = chance.uniform(0, 5)
        while day < min(leaves, 150):
            events.append(event(len(events), f"u{user}", START_MS + int(day * DAY_MS), name="purchase"))
            day += chance.uniform(2, 4)
    events.sort(key=lambda one: one["event_time"])
    return write(tmp_path / "purchases.jsonl", events)


def answer(capsys, *arguments):
    """Run the command and return its JSON and what it said on standard error."""
    assert run(["evaluate", *arguments, "--json"]) == 0
    captured = capsys.readouterr()
    return json.loads(captured.out), captured.err


def complaint(capsys, *arguments):
    assert run(["evaluate", *arguments]) == 1
    return capsys.readouterr().err


class TestRecommendations:
    def test_the_last_half_is_judged_beside_the_baselines(self, clicks, capsys):
        found, _ = answer(capsys, "recommendations", "--events", clicks)
        assert found["counts"]["cases"] == 400
        assert found["counts"]["sessions"] == 100
        assert found["never_seen"] == 0
        assert list(found["quality"]) == [
            "keepstream",
            "popularity",
            "co-occurrence (AR)",
            "co-occurrence (SR)",
            "VSKNN",
            "VSTAN",
            "own history",
        ]
        assert found["quality"]["keepstream"]["hit_rate@5"] == 1.0
        lead = found["intervals"]["own history"]["hit_rate@20"]
        assert lead["low"] <= lead["difference"] <= lead["high"]
        assert found["settings"]["k"] == 20
        assert found["settings"]["layouts"] == ["keepstream"]

    @pytest.mark.parametrize(
        ("when", "cases"), [("0%", 800), ("75%", 200), ("2023-11-14T23:53:20Z", 400), ("100%", 1)]
    )
    def test_test_from_takes_a_share_of_the_time_or_a_time(self, clicks, capsys, when, cases):
        found, _ = answer(capsys, "recommendations", "--events", clicks, "--test-from", when)
        assert abs(found["counts"]["cases"] - cases) <= 8

    def test_other_files_can_be_judged_frozen_after_learning(self, clicks, tmp_path, capsys):
        later = [
            event(f"later-{n}", "a:new", START_MS + DAY_MS + n, item)
            for n, item in enumerate(("item-1-0", "item-1-1", "zz"))
        ]
        tested = write(tmp_path / "later.jsonl", later)
        found, _ = answer(
            capsys,
            "recommendations",
            "--events",
            clicks,
            "--test-events",
            tested,
            "--freeze",
            "--min-history",
            "1",
        )
        assert found["counts"]["learned_events"] == 1000
        assert (found["counts"]["cases"], found["never_seen"]) == (2, 0.5)
        assert found["quality"]["keepstream"]["hit_rate@20"] == 0.5

    def test_malformed_events_are_counted_by_reason_and_shown(self, clicks, tmp_path, capsys):
        lines = Path(clicks).read_text().splitlines()
        broken = [
            "{not json",
            '{"event_id": "x", "event_name": "view_item", "event_time": 1700000000000}',
        ]
        mixed = write(tmp_path / "mixed.jsonl", [*lines[:700], *broken, *lines[700:]])
        found, said = answer(capsys, "recommendations", "--events", mixed)
        assert found["settings"]["left_out"] == {"not_json": 1, "no_subject": 1}
        assert found["counts"]["cases"] == 400
        assert "not_json" in said

    def test_tables_name_every_figure(self, clicks, capsys):
        assert run(["evaluate", "recommendations", "--events", clicks, "-k", "10"]) == 0
        printed = capsys.readouterr().out
        for words in ("HR@10", "MRR@10", "new HR@10", "coverage", "Gini", "popularity", "400 cases"):
            assert words in printed

    def test_columns_are_mapped_as_in_replay(self, tmp_path, capsys):
        rows = [f"{n % 3},{['a', 'b', 'c'][n // 3]},{1_700_000_000 + n}" for n in range(9)]
        table = tmp_path / "table.csv"
        table.write_text("\n".join(["visitor,sku,when", *rows]) + "\n")
        maps = ["anonymous_id=visitor", "item_id=sku", "event_time=when", "event_name:=view_item"]
        arguments = [part for text in maps for part in ("--map", text)]
        found, _ = answer(capsys, "recommendations", "--events", str(table), "--test-from", "0%", *arguments)
        assert found["counts"]["cases"] == 6


class TestChurn:
    def test_matured_labels_are_judged_beside_the_baselines(self, purchases, capsys):
        found, _ = answer(capsys, "churn", "--events", purchases, "--horizon", "14d", "--budget", "5")
        rivals = ["base rate", "recency", "BG/NBD P(0 in H)"]
        models = ["keepstream", "landmark", "newton", "rolled", "bgnbd", "blend"]
        assert list(found["quality"]) == [*models, *rivals]
        assert list(found["intervals"]) == rivals
        assert found["alert_lead"].keys() == {"alerts", "precision", "median_days", "tenth_days"}
        assert found["settings"]["drift_reaction"]
        assert found["counts"]["judged"] > 200
        assert 0 < found["base_rate"] < 0.5
        model = found["quality"]["keepstream"]
        assert model["auc"] > 0.6
        assert set(model) >= {
            "log_loss",
            "brier",
            "calibration_error",
            "top_decile_lift",
            "precision_at_budget",
        }
        assert model["top_decile_lift"] <= found["lift_ceiling"]
        assert found["settings"]["horizon"] == "14 days"
        lead = found["intervals"]["base rate"]["auc"]
        assert lead["low"] > 0

    def test_the_tables_say_how_it_was_measured_and_what_a_change_cost(self, purchases, capsys):
        line = ["evaluate", "churn", "--events", purchases, "--horizon", "14d", "--test-from", "60%"]
        assert run([*line, "--change", "70%"]) == 0
        printed = capsys.readouterr().out
        for words in ("known after 7 days: AUC 0.", "beyond hindsight's", "weeks 1-4", "without reaction"):
            assert words in printed
        for words in ("AUC", "log loss", "Brier", "ECE", "lift 10 %", "precision", "BG/NBD", "base rate"):
            assert words in printed

    def test_a_horizon_too_long_for_the_file_judges_nothing(self, purchases, capsys):
        found, _ = answer(capsys, "churn", "--events", purchases, "--horizon", "140d")
        assert found["counts"]["judged"] == 0
        assert found["quality"]["keepstream"]["auc"] is None


class TestErrors:
    def test_a_time_that_is_none_is_named(self, clicks, capsys):
        for wrong in ("yesterday", "150%", "x%"):
            said = complaint(capsys, "recommendations", "--events", clicks, "--test-from", wrong)
            assert f"--test-from '{wrong}' is neither a time (RFC 3339) nor a share such as 50%" in said

    def test_two_ways_to_say_what_is_judged_exclude_each_other(self, clicks, capsys):
        said = complaint(
            capsys, "recommendations", "--events", clicks, "--test-from", "50%", "--test-events", clicks
        )
        assert "exclude each other" in said

    def test_a_change_is_told_with_and_without_reaction_so_neither_is_chosen(self, purchases, capsys):
        line = ("churn", "--events", purchases, "--horizon", "14d", "--change")
        assert "exclude each other" in complaint(capsys, *line, "50%", "--no-drift-reaction")
        assert "--change 'then' is neither a time" in complaint(capsys, *line, "then")

    def test_a_file_without_events_is_named(self, tmp_path, capsys):
        empty = write(tmp_path / "broken.jsonl", [event(0, "u:1", "never")])
        said = complaint(capsys, "recommendations", "--events", empty)
        assert "broken.jsonl: no event with a readable time" in said
        assert "Traceback" not in said

    def test_a_horizon_that_is_no_duration_is_named(self, purchases, capsys):
        assert "soon" in complaint(capsys, "churn", "--events", purchases, "--horizon", "soon")
