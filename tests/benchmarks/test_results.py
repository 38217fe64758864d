"""Figures are kept when a run ended well; those of small runs never where the page looks."""

from argparse import Namespace

import pytest

from benchmarks import results
from benchmarks.__main__ import main

FULL, PART = Namespace(divisor=1), Namespace(divisor=10)


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(results, "FIGURES", tmp_path / "figures")
    monkeypatch.setattr(results, "SMALL", tmp_path / "small")


def measured(options, cost, then=None):
    with results.collected("cost", options) as found:
        found["event"] = cost
        if then:
            raise then


class TestCollected:
    def test_figures_are_kept_with_the_machine_they_are_of(self):
        measured(FULL, 1 / 3)
        found = results.saved("cost", results.FIGURES)
        assert found["event"] == 0.333333
        assert "cores" in found["run"]["machine"]

    def test_a_run_that_fails_leaves_the_figures_of_the_last_one(self):
        measured(FULL, 1.0)
        with pytest.raises(SystemExit):
            measured(FULL, 2.0, then=SystemExit())
        assert results.saved("cost", results.FIGURES)["event"] == 1.0

    def test_a_small_run_goes_elsewhere(self):
        measured(PART, 1.0)
        assert results.saved("cost", results.FIGURES) == {}
        assert results.saved("cost", results.SMALL)["event"] == 1.0


def test_a_part_that_does_not_exist_is_named_before_anything_runs(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["benchmarks", "latency", "speed"])
    with pytest.raises(SystemExit, match="2"):
        main()
    assert "no such part: speed" in capsys.readouterr().err
