"""The retention boards of the whole shop, day by day: the sum of what every partition says."""

from collections.abc import Sequence
from typing import Final

import msgspec

from streams.schemas import RetentionBoard, RetentionCohort

DAYS: Final = 120
"""Days that are kept."""

_COUNTS: Final = (
    "users",
    "daily",
    "weekly",
    "monthly",
    "fresh",
    "at_stake",
    "churned",
    "expected_value",
)


class Boards:
    """Adds boards up by day, whatever the order in which partitions reach it."""

    def __init__(self) -> None:
        self._days: dict[int, dict[int, RetentionBoard]] = {}

    def add(self, boards: Sequence[RetentionBoard]) -> list[RetentionBoard]:
        """Take boards of partitions, and return those of the days that changed, oldest first."""
        for board in boards:
            self._days.setdefault(board.event_time, {})[board.source.partition] = board
        for day in sorted(self._days)[:-DAYS]:
            del self._days[day]
        changed = {board.event_time for board in boards} & self._days.keys()
        return [together(list(self._days[day].values())) for day in sorted(changed)]

    def all(self) -> list[RetentionBoard]:
        """Return the boards of all days, oldest first."""
        return [together(list(self._days[day].values())) for day in sorted(self._days)]

    def clear(self) -> None:
        """Forget everything."""
        self._days.clear()


def together(boards: Sequence[RetentionBoard]) -> RetentionBoard:
    """Return the boards of several partitions of one day as one."""
    cohorts: dict[int, tuple[int, int]] = {}
    for board in boards:
        for cohort in board.cohorts:
            size, active = cohorts.get(cohort.week, (0, 0))
            cohorts[cohort.week] = (size + cohort.size, active + cohort.active)
    return msgspec.structs.replace(
        boards[0],
        id=f"all@{boards[0].event_time}",
        stages=_sum([board.stages for board in boards]),
        segments=_sum([board.segments for board in boards]),
        cohorts=[RetentionCohort(week, *counts) for week, counts in sorted(cohorts.items())],
        **{name: sum(getattr(board, name) for board in boards) for name in _COUNTS},
    )


def _sum(parts: Sequence[dict[str, int]]) -> dict[str, int]:
    names = dict.fromkeys(name for part in parts for name in part)
    return {name: sum(part.get(name, 0) for part in parts) for name in names}
