"""The log of a worker, on standard error: a line a message, for people or as JSON."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from streams.settings.sections import Logs

_NOISY: Final = ("aiokafka", "faust", "mode", "asyncio", "kafka", "aiohttp", "librdkafka")
"""Loggers of libraries: their warnings are wanted, their news are not."""

_SAME_NEWS_S: Final = 10.0

_SERVICES: Final = "[^"
"""How Faust begins the lines in which its services tell that they start and stop."""

_OWN: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
"""What every record has; anything else was given with `extra`."""


def set_up(settings: Logs) -> None:
    """Log to standard error; libraries only when they have something to complain of.

    At info a line never holds the id of a user. Libraries stay at warning at every level: their debug lines
    show what they send.

    Parameters
    ----------
    settings
        From which level on, and in which format.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if settings.log_format == "json" else _console())
    handler.addFilter(_is_news)
    handler.addFilter(_Sparingly())
    logging.basicConfig(level=settings.log_level.upper(), handlers=[handler], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    # A request that is no HTTP is answered with 400; its traceback would quote it.
    logging.getLogger("aiohttp.server").setLevel(logging.CRITICAL)


def _console() -> logging.Formatter:
    return logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")


class _Json(logging.Formatter):
    """One JSON object a line: time, level, logger, message, what `extra` gave, and the traceback."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **{name: value for name, value in vars(record).items() if name not in _OWN},
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(told, enc_hook=str).decode()


class _Sparingly(logging.Filter):
    """Lets a library say the same thing once in ten seconds: some repeat it ten times a second."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is news."""
        if not record.name.startswith(_NOISY):
            return True
        what = (record.name, str(record.msg))
        news = record.created - self._said.get(what, 0.0) >= _SAME_NEWS_S
        if news:
            self._said[what] = record.created
        return news


def _is_news(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or not record.getMessage().startswith(_SERVICES)
