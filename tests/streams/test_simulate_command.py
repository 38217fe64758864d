"""`keepstream simulate` into files."""

import json
import os
import signal
import subprocess
import sys

import pytest

from streams.cli import run
from streams.sources import read_events


@pytest.fixture
def out(tmp_path):
    return tmp_path / "shop.jsonl"


def simulate(*options):
    return run(["simulate", "--users", "100", "--items", "200", *map(str, options)])


class TestFile:
    def test_holds_as_many_events_as_asked_for(self, out, capsys):
        assert simulate("--events", 500, "--out", out, "--json") == 0
        summary = json.loads(capsys.readouterr().out)
        assert summary["events"] == len(out.read_bytes().splitlines()) == 500
        assert summary["to"] == str(out)

    def test_is_the_same_for_the_same_options(self, out, tmp_path):
        other = tmp_path / "other.jsonl"
        for path in (out, other):
            assert simulate("--days", 2, "--malformed", "0.1", "--out", path) == 0
        assert out.read_bytes() == other.read_bytes()

    def test_malformed_events_come_on_top(self, out):
        assert simulate("--events", 900, "--malformed", "0.1", "--out", out) == 0
        assert len(out.read_bytes().splitlines()) == pytest.approx(1000, abs=1)

    def test_can_be_read_back(self, out):
        assert simulate("--events", 50, "--out", out) == 0
        assert len(list(read_events([out]))) == 50


class TestTruth:
    def test_names_time_and_reason_of_those_who_left_during_the_written_events(self, out, tmp_path):
        truth = tmp_path / "truth.jsonl"
        assert simulate("--days", 60, "--out", out, "--truth", truth) == 0
        users = [json.loads(line) for line in truth.read_bytes().splitlines()]
        newest = json.loads(out.read_bytes().splitlines()[-1])["event_time"]
        left = [user for user in users if user["left_ms"] is not None]
        assert left
        assert all(user["reason"] and user["left_ms"] <= newest for user in left)


class TestUsage:
    def test_a_start_that_is_no_time_is_explained(self, out, capsys):
        assert simulate("--start", "soon", "--out", out) == 1
        assert "--start must be a day like 2024-01-01" in capsys.readouterr().err

    def test_events_in_the_future_are_warned_of(self, out, capsys):
        assert simulate("--start", "2098-01-01", "--days", "1", "--out", out) == 0
        assert "events that lie in the future" in capsys.readouterr().err

    def test_ctrl_c_leaves_a_whole_file_and_its_counts(self, out):
        command = [sys.executable, "-c", "from streams.cli import main; main()", "simulate"]
        command += ["--users", "100", "--speed", "3600", "--out", str(out), "--json", "--days", "300"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
            partial = out.with_name(out.name + ".part")
            while not partial.exists():
                assert process.poll() is None
                os.sched_yield()
            process.send_signal(signal.SIGINT)
            shown, _ = process.communicate(timeout=60)
        assert process.returncode == 130
        assert json.loads(shown)["events"] == len(out.read_bytes().splitlines())
