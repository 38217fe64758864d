from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from online_models.churn.quiet_hours import QuietHours
from online_models.errors import InvalidParameterError

BERLIN = ZoneInfo("Europe/Berlin")


def ms(*moment):
    return int(datetime(*moment, tzinfo=BERLIN).timestamp() * 1000)


def end(window, *moment):
    return QuietHours.parse(window, "Europe/Berlin").end_ms(ms(*moment))


class TestWindow:
    def test_a_night_ends_in_the_morning_of_the_next_day_or_of_the_same(self):
        assert end("21:00-08:00", 2026, 1, 5, 21, 0) == ms(2026, 1, 6, 8, 0)
        assert end("21:00-08:00", 2026, 1, 6, 7, 59) == ms(2026, 1, 6, 8, 0)
        assert end("21:00-08:00", 2026, 1, 6, 8, 0) == 0
        assert end("21:00-08:00", 2026, 1, 5, 20, 59) == 0

    def test_a_window_within_one_day(self):
        assert end("12:00-14:00", 2026, 1, 5, 13, 0) == ms(2026, 1, 5, 14, 0)
        assert end("12:00-14:00", 2026, 1, 5, 23, 0) == 0

    def test_the_wall_clock_counts_when_it_is_put_forward_or_back(self):
        for day in ((2026, 3, 28), (2026, 10, 24)):
            assert end("21:00-08:00", *day, 23, 0) == ms(day[0], day[1], day[2] + 1, 8, 0)
        hours = (ms(2026, 3, 29, 8, 0) - ms(2026, 3, 28, 21, 0)) / 3_600_000
        assert hours == 10

    def test_an_empty_text_is_no_window(self):
        assert QuietHours.parse("", "") is None


class TestWrong:
    @pytest.mark.parametrize("zone", ["", "Europe/Atlantis", "../etc/passwd"])
    def test_without_a_known_zone_there_is_no_guess(self, zone):
        with pytest.raises(InvalidParameterError, match=r"time_zone must be a name"):
            QuietHours.parse("21:00-08:00", zone)

    @pytest.mark.parametrize("window", ["21-8", "24:00-08:00", "night", "08:00-08:00"])
    def test_a_window_that_is_none_is_named(self, window):
        with pytest.raises(InvalidParameterError, match=r"quiet_hours must|end_minute must"):
            QuietHours.parse(window, "UTC")
