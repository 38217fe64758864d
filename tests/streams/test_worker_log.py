"""What a worker's log is spared: a library that repeats itself while the broker is away."""

import logging

import pytest

from streams.cli.worker import set_up_logging


@pytest.fixture(autouse=True)
def _logging_as_before():
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    yield
    root.handlers[:] = before
    root.setLevel(level)


def test_a_library_says_the_same_thing_once_in_ten_seconds(capsys):
    set_up_logging("info")
    for _ in range(100):
        logging.getLogger("aiokafka.consumer").error("Group Coordinator Request failed: %s", "not ready")
    logging.getLogger("aiokafka.consumer").error("Something else")
    said = capsys.readouterr().err.splitlines()
    assert [line.split(": ", 1)[1] for line in said] == [
        "Group Coordinator Request failed: not ready",
        "Something else",
    ]


def test_what_the_worker_itself_says_is_never_spared(capsys):
    set_up_logging("info")
    for _ in range(3):
        logging.getLogger("streams.engine").warning("dropped all partitions")
    assert len(capsys.readouterr().err.splitlines()) == 3
