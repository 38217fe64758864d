"""`keepstream dataset`."""

import gzip
import json

import pytest

from streams.cli import run


def test_lists_the_data_sets_with_origin_and_terms(capsys):
    assert run(["dataset", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["complete-journey", "cdnow"]
    assert all(row["origin"] and row["note"] for row in rows)


def test_writes_one_in_time_order_and_tells_what_it_holds(capsys, tmp_path):
    pytest.importorskip("lifetimes")
    out = tmp_path / "cdnow.jsonl.gz"
    assert run(["dataset", "cdnow", "--out", str(out), "--json"]) == 0
    summary = json.loads(capsys.readouterr().out)
    with gzip.open(out) as file:
        events = [json.loads(line) for line in file]
    assert summary["events"] == len(events) == 69_659
    assert summary["first_event_ms"] == events[0]["event_time"]
    assert summary["last_event_ms"] == events[-1]["event_time"]


def test_an_unknown_one_is_explained(capsys):
    assert run(["dataset", "movielens"]) == 1
    assert "there are complete-journey, cdnow" in capsys.readouterr().err
