"""The log of a worker: lines for people or machines, libraries kept short."""

import json
import logging
import sys

import pytest

from streams import logs
from streams.settings import Secret
from streams.settings.sections import Logs


@pytest.fixture(autouse=True)
def _as_before():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in (*logs._NOISY, "aiohttp.server")}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)


def said(capsys):
    return capsys.readouterr().err.splitlines()


class TestJson:
    def test_a_line_is_an_object_with_the_extras_beside_the_message(self, capsys):
        logs.set_up(Logs(log_format="json"))
        logging.getLogger("streams.x").info("%d rows\nand more", 5, extra={"rows": 5, "seconds": 0.2})
        (line,) = said(capsys)
        told = json.loads(line)
        assert told.pop("time").endswith("+00:00")
        assert told == {
            "level": "info",
            "logger": "streams.x",
            "message": "5 rows\nand more",
            "rows": 5,
            "seconds": 0.2,
        }

    def test_a_traceback_stays_in_its_line(self, capsys):
        logs.set_up(Logs(log_format="json"))
        try:
            _ = 1 // 0
        except ZeroDivisionError:
            logging.getLogger("streams.x").exception("oh")
        (line,) = said(capsys)
        assert json.loads(line)["exception"].splitlines()[-1].startswith("ZeroDivisionError")

    def test_whatever_is_given_can_be_written(self, capsys):
        logs.set_up(Logs(log_format="json"))
        logging.getLogger("streams.x").info("x", extra={"odd": object, "token": Secret("hunter2")})
        (line,) = said(capsys)
        assert json.loads(line)["token"] == "Secret('***')"


class TestConsole:
    def test_a_line_has_time_level_and_logger(self, capsys):
        logs.set_up(Logs())
        logging.getLogger("streams.x").warning("look")
        assert said(capsys)[0].endswith("WARNING streams.x: look")

    def test_levels_are_kept(self, capsys):
        logs.set_up(Logs(log_level="warning"))
        logging.getLogger("streams.x").info("news")
        assert said(capsys) == []
        logs.set_up(Logs(log_level="debug"))
        logging.getLogger("streams.x").debug("news")
        assert len(said(capsys)) == 1


class TestLibraries:
    @pytest.mark.parametrize("level", ["debug", "info"])
    def test_their_news_are_not_wanted_and_their_complaints_are(self, capsys, level):
        logs.set_up(Logs(log_level=level))
        logging.getLogger("aiokafka.consumer").info("fetching")
        logging.getLogger("faust").warning("careful")
        assert [line.split("faust: ")[-1] for line in said(capsys)] == ["careful"]

    def test_the_same_complaint_is_heard_once(self, capsys):
        logs.set_up(Logs())
        for number in range(5):
            logging.getLogger("aiokafka").error("cannot connect to %s", number)
            logging.getLogger("streams.x").info("ours %d", number)
        lines = said(capsys)
        assert sum("aiokafka" in line for line in lines) == 1
        assert sum("streams.x" in line for line in lines) == 5

    def test_it_goes_to_standard_error(self):
        logs.set_up(Logs())
        assert logging.getLogger().handlers[0].stream is sys.stderr
