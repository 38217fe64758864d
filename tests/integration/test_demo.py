"""The demo as a reader starts it: real broker, real worker, counts that add up, and nothing left behind."""

import os
import re
import signal
import subprocess
import sys
import time

import psutil
import pytest

DEMO = [sys.executable, "-m", "streams.cli", "demo", "--plain"]


def started(tmp_path, *options):
    environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "100"}
    return subprocess.Popen(
        [*DEMO, *options], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    )


def left_behind(tmp_path):
    """Return the processes that were started for this demo and still run."""
    return [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or ())]


def wait_until_nothing_is_left(tmp_path, seconds=40):
    until = time.monotonic() + seconds
    while left_behind(tmp_path) and time.monotonic() < until:
        time.sleep(0.2)
    assert left_behind(tmp_path) == []


@pytest.mark.slow
def test_a_short_run_accounts_for_every_event_and_cleans_up(tmp_path):
    demo = started(tmp_path, "--seconds", "8", "--rate", "400")
    out, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, out
    assert "Every event accounted for" in out
    assert "DIFFERENT" not in out
    assert re.search(r"the console is at http://127\.0\.0\.1:\d+/\n", out)
    sent, found = re.search(r"all events +([\d,]+) +([\d,]+)", out).groups()
    assert sent == found != "0"
    assert int(re.search(r"([\d,]+) lists", out)[1].replace(",", "")) > 0
    wait_until_nothing_is_left(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_ends_it_with_the_summary(tmp_path):
    demo = started(tmp_path, "--rate", "300", "--keep-data", str(tmp_path / "kept"))
    lines = []
    for line in demo.stdout:
        lines.append(line)
        if line.startswith("day"):
            demo.send_signal(signal.SIGINT)
            break
    out, _ = demo.communicate(timeout=240)
    assert demo.returncode == 0, [*lines, out]
    assert "Every event accounted for" in out
    assert "keepstream worker --data-dir" in out
    assert (tmp_path / "kept" / "demo.toml").exists()
    wait_until_nothing_is_left(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_nothing_survives_even_when_it_is_killed(tmp_path):
    demo = started(tmp_path, "--rate", "300")
    for line in demo.stdout:
        if line.startswith("day"):
            break
    assert left_behind(tmp_path)
    demo.kill()
    demo.communicate(timeout=60)
    wait_until_nothing_is_left(tmp_path)
