"""Boards of partitions become those of the shop."""

import pytest

from streams.api.boards import DAYS, Boards, together
from tests.streams.api.boards import board


def test_every_count_is_added_up():
    one, other = board(0, 7, 10, [(100, 4, 2), (200, 3, 3)]), board(1, 7, 5, [(200, 1, 0), (300, 2, 2)])
    both = together([one, other])
    assert (both.users, both.daily, both.weekly, both.monthly, both.fresh) == (30, 15, 15, 15, 2)
    assert (both.at_stake, both.churned, both.expected_value) == (15, 2, 1.0)
    assert (both.stages, both.segments) == ({"new": 2, "active": 15}, {"loyal": 15})
    assert [(c.week, c.size, c.active) for c in both.cohorts] == [(100, 4, 2), (200, 4, 3), (300, 2, 2)]


class TestBoards:
    @pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
    def test_partitions_may_come_in_any_order(self, order):
        found = [board(0, 1, 1), board(1, 1, 2), board(0, 2, 4), board(1, 2, 8)]
        boards = Boards()
        for place in order:
            boards.add([found[place]])
        assert [(one.event_time, one.daily) for one in boards.all()] == [(1, 3), (2, 12)]

    def test_a_board_said_again_counts_once(self):
        boards = Boards()
        boards.add([board(0, 1, 5)])
        (changed,) = boards.add([board(0, 1, 5)])
        assert changed.daily == 5

    def test_the_oldest_days_make_room(self):
        boards = Boards()
        boards.add([board(0, day, 1) for day in range(DAYS + 3)])
        assert [one.event_time for one in boards.all()] == list(range(3, DAYS + 3))
