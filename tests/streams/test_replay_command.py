"""`keepstream replay` where it needs no broker: dry runs, order, usage."""

import json

import pytest

from streams.cli import run

UNSORTED = "SessionId\tItemId\tTime\n1\t7\t1396440000\n2\t8\t1396400000\n3\t9\t1396440001\n"


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.tsv"
    path.write_text(UNSORTED)
    return str(path)


class TestDryRun:
    def test_prints_the_first_events_and_what_the_file_is(self, log, capsys):
        assert run(["replay", log, "--dry-run", "--limit", "1"]) == 0
        shown = capsys.readouterr()
        assert json.loads(shown.out)["item_id"] == "7"
        assert shown.err == f"{log}: session-rec\n"

    def test_says_when_events_are_out_of_order(self, log, capsys):
        assert run(["replay", log, "--dry-run"]) == 0
        shown = capsys.readouterr()
        assert [json.loads(line)["item_id"] for line in shown.out.splitlines()] == ["7", "8", "9"]
        assert "not in time order: 1 of 3 events" in shown.err

    def test_shows_them_in_order_with_sort(self, log, capsys):
        assert run(["replay", log, "--dry-run", "--sort"]) == 0
        shown = capsys.readouterr()
        assert [json.loads(line)["item_id"] for line in shown.out.splitlines()] == ["8", "7", "9"]
        assert "not in time order" not in shown.err

    def test_reports_rows_without_events_with_their_lines(self, log, capsys, tmp_path):
        (tmp_path / "log.tsv").write_text(UNSORTED + "4\t\t5\n")
        assert run(["replay", log, "--dry-run"]) == 0
        assert "1 rows skipped: missing_field" in capsys.readouterr().err

    def test_reads_any_table_by_a_mapping(self, capsys, tmp_path):
        (tmp_path / "log.csv").write_text("who,when,sku\nann,2024-01-01,p1\n")
        options = ["--map", "user_id=who", "--map", "event_time=when", "--map", "item_id=sku"]
        options += ["--map", "event_name:=purchase"]
        assert run(["replay", str(tmp_path / "log.csv"), "--dry-run", *options]) == 0
        event = json.loads(capsys.readouterr().out)
        assert (event["event_name"], event["user_id"]) == ("purchase", "ann")


class TestUsage:
    def test_an_unknown_file_is_one_line_of_explanation(self, capsys, tmp_path):
        assert run(["replay", str(tmp_path / "gone"), "--dry-run"]) == 1
        assert capsys.readouterr().err.startswith("keepstream: error: ")

    def test_a_bad_speed_is_said_before_anything_is_opened(self, capsys):
        assert run(["replay", "gone", "--speed", "fast"]) == 1
        assert "speed must be max or a number" in capsys.readouterr().err

    def test_a_mapping_without_equals_sign_shows_the_form(self, capsys):
        assert run(["replay", "gone", "--map", "user_id"]) == 1
        assert "expected FIELD=COLUMN or FIELD:=TEXT" in capsys.readouterr().err
