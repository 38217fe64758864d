"""Hours in which nobody is disturbed: alerts that fall into them are held until they end."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from online_models.errors import InvalidParameterError

_WINDOW: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A window of the day, by the clock on the wall of one time zone.

    Parameters
    ----------
    begin_minute, end_minute
        Minutes after midnight, 0 to 1439, the end excluded; with the end first the window spans midnight.
    zone
        Name in the IANA time zone database.

    Raises
    ------
    InvalidParameterError
        When the window is empty, or the zone is missing or unknown: a guess could wake people at night.

    Examples
    --------
    >>> quiet = QuietHours.parse("21:00-08:00", "Europe/Berlin")
    >>> midnight_ms = 1_767_222_000_000  # 2026-01-01 00:00 in Berlin
    >>> (quiet.end_ms(midnight_ms) - midnight_ms) / 3_600_000
    8.0
    >>> quiet.end_ms(midnight_ms + 12 * 3_600_000)
    0
    """

    begin_minute: int
    end_minute: int
    zone: str

    def __post_init__(self) -> None:
        for name in ("begin_minute", "end_minute"):
            if not 0 <= getattr(self, name) < 1440:
                raise InvalidParameterError(f"{name} must be 0 to 1439, got {getattr(self, name)}")
        if self.begin_minute == self.end_minute:
            raise InvalidParameterError(f"end_minute must differ from begin_minute, got {self.end_minute}")
        try:
            ZoneInfo(self.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise InvalidParameterError(
                f"time_zone must be a name like Europe/Berlin where there are quiet hours, got {self.zone!r}"
            ) from None

    @classmethod
    def parse(cls, window: str, zone: str) -> Self | None:
        """Return the hours that a text such as ``21:00-08:00`` names; None for an empty one.

        Raises
        ------
        InvalidParameterError
            When the text is no window, or the zone is missing or unknown.
        """
        if not window:
            return None
        match = _WINDOW.fullmatch(window.replace(" ", ""))
        if match is None:
            raise InvalidParameterError(f"quiet_hours must be like 21:00-08:00, got {window!r}")
        hour, minute, end_hour, end_minute = map(int, match.groups())
        return cls(60 * hour + minute, 60 * end_hour + end_minute, zone)

    def end_ms(self, now_ms: int) -> int:
        """Return the end of the quiet hours that a time lies in, 0 where in none; epoch milliseconds."""
        local = (_EPOCH + now_ms * _MILLISECOND).astimezone(ZoneInfo(self.zone))
        minute = 60 * local.hour + local.minute
        after_begin, before_end = minute >= self.begin_minute, minute < self.end_minute
        overnight = self.begin_minute > self.end_minute
        if not (after_begin or before_end if overnight else after_begin and before_end):
            return 0
        day = local.date() + timedelta(days=int(overnight and after_begin))
        # By the wall clock of that day: it may have been put forward or back in between.
        end = datetime(day.year, day.month, day.day, *divmod(self.end_minute, 60), tzinfo=ZoneInfo(self.zone))
        return max((end - _EPOCH) // _MILLISECOND, now_ms + 1)
