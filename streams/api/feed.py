"""The alerts, models and boards of the whole shop as they come out, for whoever looks at the console."""

import logging
import threading
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from online_models.errors import CorruptStateError, KeepstreamError
from streams import encode, topics
from streams.follow import Followed, Follower
from streams.model_rows import parse
from streams.schemas import ChurnAlert, ModelPoint, RetentionBoard
from streams.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)

NEWEST: Final = 200
"""Records of each partition that are read at the start."""

_POLL_S: Final = 0.3
_RETRY_S: Final = 2.0


class News(NamedTuple):
    """What came, in log order."""

    alerts: Sequence[ChurnAlert]
    models: Sequence[ModelPoint]
    boards: Sequence[RetentionBoard]


Sink = Callable[[News], None]


class Feed(threading.Thread):
    """Reads alerts, models and boards, the newest first and then what follows, until it is told to leave.

    Parameters
    ----------
    settings
        Where the broker is.
    take
        Takes over what came, in log order; called in this thread. After an outage records come again.
    """

    def __init__(self, settings: Settings, take: Sink) -> None:
        super().__init__(name="console", daemon=True)
        self._settings, self._take = settings, take
        self._alerts = topics.ALERTS.full_name(settings)
        self._models = topics.MODELS.full_name(settings)
        self._boards = topics.RETENTION.full_name(settings)
        self._left = threading.Event()

    def leave(self) -> None:
        """End the reading soon."""
        self._left.set()

    def run(self) -> None:
        """Read."""
        while not self._left.is_set():
            try:
                self._follow()
            except KeepstreamError as error:
                log.warning("reading for the console: %s; trying again", error)
                self._left.wait(_RETRY_S)

    def _follow(self) -> None:
        with Follower(self._settings, [self._alerts, self._models, self._boards], NEWEST) as follower:
            while not self._left.is_set():
                records = follower.poll(_POLL_S)
                news = News(
                    [alert for record in records if (alert := _read(ChurnAlert, record, self._alerts))],
                    [point for record in records if (point := self._point(record))],
                    [board for record in records if (board := _read(RetentionBoard, record, self._boards))],
                )
                if any(news):
                    self._take(news)

    def _point(self, record: Followed) -> ModelPoint | None:
        row = parse(record.key or b"") if record.topic == self._models else None
        if row is None or row.kind == "pin" or record.value is None:
            return None
        try:
            snapshot = encode.read_snapshot(record.value)
            card = msgspec.convert(snapshot.state["scorer"]["card"], dict[str, float | None])
        except (CorruptStateError, KeyError, TypeError, msgspec.ValidationError):
            return None  # the broadcast reader refuses the same row, counts it and says why
        return ModelPoint(
            model=snapshot.model,
            model_version=snapshot.model_version,
            event_time=snapshot.event_time,
            examples=snapshot.examples,
            metrics=card,
        )


def _read(kind: type[T], record: Followed, topic: str) -> T | None:
    """Return a document of a topic; None where the record is of another one, or cannot be read."""
    if record.topic != topic or record.value is None:
        return None
    try:
        return encode.read(kind, record.value)
    except CorruptStateError as error:
        log.warning("%s: the record at offset %d cannot be read: %s", topic, record.offset, error)
        return None
