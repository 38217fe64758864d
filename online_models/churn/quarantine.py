"""Users who are busier than people are: counted like everybody else, but not learned from."""

import math
from dataclasses import dataclass, field
from operator import index
from typing import Any, Final, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
from river.anomaly import HalfSpaceTrees

from online_models import snapshots
from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import EVENT_NAMES, SILENT_KINDS, TOUCH_KINDS, Int8s, Int64s

HOUR_MS: Final = 3_600_000
QUARANTINE_ROW: Final = b"\0quarantine"

FIELDS: Final = (
    ("busy_hour", "<i8"),
    ("busy_events", "<u4"),
    ("busy_touches", "<u4"),
    ("busy_first_ms", "<i8"),
    ("busy_last_ms", "<i8"),
    ("busy_gaps", "<u8"),
    ("muted_until_ms", "<i8"),
)
"""Columns of a user's row: the hour of the newest event, what it holds so far, and the end of a quarantine.

`busy_gaps` sums the squares of the gaps between events, ms²: integers, so that their order does not matter.
"""

_JUDGED: Final = 60
_THRESHOLD: Final = 0.85
_TREES: Final = 20
_HEIGHT: Final = 6
_WINDOW: Final = 100
_TOUCH: Final = np.isin(np.arange(len(EVENT_NAMES)), TOUCH_KINDS)
_ACTIVITY: Final = ~np.isin(np.arange(len(EVENT_NAMES)), SILENT_KINDS)

MutedReason = Literal["burst", "anomaly"]
"""Beyond what one user may do in an hour; or within the quarantine of a user who looks like a machine."""

Rows = npt.NDArray[Any]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class QuarantineSettings:
    """When a user's events are no longer learned from.

    Parameters
    ----------
    hourly_events
        Events of one user in an hour of event time; those beyond are never learned from.
    suspicious_events
        An hour with at least so many events may be judged to be that of a machine.
    lasts_ms
        How long such a user is not learned from, after that hour.

    Raises
    ------
    InvalidParameterError
        When a parameter is below 1.
    """

    hourly_events: int = 5_000
    suspicious_events: int = 2_000
    lasts_ms: int = 24 * HOUR_MS

    def __post_init__(self) -> None:
        for name in ("hourly_events", "suspicious_events", "lasts_ms"):
            if getattr(self, name) < 1:
                raise InvalidParameterError(f"{name} must be at least 1, got {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Which events are not to be learned from.

    Parameters
    ----------
    muted
        (n,) whether an event is not.
    counts
        Their number by reason.
    """

    muted: Bools
    counts: dict[MutedReason, int] = field(default_factory=dict)


class Quarantine:
    """Finds machines among the users of a partition, event by event, in log order.

    An hour is judged when the user's next one begins, by half-space trees over its number of events, their
    share of touches, their rate and how regular they are. The trees learn from every hour that holds enough
    events to be compared and does not look like a machine's, so machines do not become normal by being many.
    Which event is muted depends on the log only, not on where batches are cut.

    Parameters
    ----------
    settings
        Bounds.

    References
    ----------
    Tan, Ting & Liu (2011), Fast anomaly detection for streaming data.
    """

    def __init__(self, settings: QuarantineSettings) -> None:
        self.settings = settings
        self._trees: Any = _trees()
        self._dirty = False

    def judge(self, rows: Rows, group: Int64s, kind: Int8s, time: Int64s) -> Verdict:
        """Count events in their users' rows, in place, and say which are not to be learned from.

        Parameters
        ----------
        rows
            (g,) rows of the users.
        group
            (n,) the event's user.
        kind, time
            (n,) what the events are, and when, epoch milliseconds; in log order.
        """
        order = np.flatnonzero(_ACTIVITY[kind])
        order = order[np.argsort(group[order], kind="stable")]
        verdict = Verdict(np.zeros(group.size, np.bool_))
        if not order.size:
            return verdict
        runs = _Runs.of(rows, group[order], time[order], _TOUCH[kind[order]])
        anomaly = time[order] < rows["muted_until_ms"][group[order]]
        closed = sorted(runs.closed(rows), key=lambda run: order[run.at])
        for run in closed:
            until_ms = self._judge_one(run)
            user = group[order[run.at]]
            if until_ms > rows["muted_until_ms"][user]:
                rows["muted_until_ms"][user] = until_ms
                anomaly[run.at : run.end] |= time[order[run.at : run.end]] < until_ms
        runs.keep(rows)
        burst = ~anomaly & (runs.place >= self.settings.hourly_events)
        verdict.muted[order] = anomaly | burst
        verdict.counts.update({"anomaly": int(anomaly.sum()), "burst": int(burst.sum())})
        return verdict

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the trees, encoded, if they have learned since the last call."""
        if not self._dirty:
            return []
        self._dirty = False
        nodes = [node for tree in self._trees.trees for node in tree.iter_dfs()]
        state = {
            "shape": [_TREES, _HEIGHT, _WINDOW],
            "counter": self._trees.counter,
            "first_window": self._trees._first_window,  # noqa: SLF001  # River offers no other way to keep it
            "left": [node.l_mass for node in nodes],
            "right": [node.r_mass for node in nodes],
        }
        return [(QUARANTINE_ROW, snapshots.pack("quarantine", 1, state))]

    def restore(self, value: bytes | None) -> None:
        """Load the row that `dirty_rows` returns; trees of another shape begin anew.

        Raises
        ------
        CorruptStateError
            When it is something else.
        """
        if value is None:
            raise CorruptStateError("the quarantine's row has no value")
        state = snapshots.unpack("quarantine", 1, value)
        if state["shape"] != [_TREES, _HEIGHT, _WINDOW]:
            return
        trees = _trees()
        nodes = [node for tree in trees.trees for node in tree.iter_dfs()]
        for node, left, right in zip(nodes, state["left"], state["right"], strict=True):
            node.l_mass, node.r_mass = index(left), index(right)
        trees.counter, trees._first_window = index(state["counter"]), bool(state["first_window"])  # noqa: SLF001
        self._trees = trees

    def _judge_one(self, run: "_Run") -> int:
        """Return until when the user of an hour is muted; 0 for not at all, then the hour is learned from."""
        score = self._trees.score_one(run.features)
        if score >= _THRESHOLD:
            suspicious = run.events >= self.settings.suspicious_events
            return (run.hour + 1) * HOUR_MS + self.settings.lasts_ms if suspicious else 0
        self._trees.learn_one(run.features)
        self._dirty = True
        return 0


class _Run(NamedTuple):
    """An hour of a user that has ended, by the event that ended it.

    Parameters
    ----------
    at, end
        Places of that event and of the user's end in the order by user.
    hour, events
        Which hour, and its number of events.
    features
        What the trees see, each in 0..1.
    """

    at: int
    end: int
    hour: int
    events: int
    features: dict[str, float]


@dataclass(frozen=True, slots=True)
class _Runs:
    """Events in order of their users, cut into hours.

    Parameters
    ----------
    user, begin, last
        (r,) the run's user, its first place, and whether it is the user's last one.
    columns
        (r,) of each of `FIELDS` but the last: the run, with what the row held of the same hour.
    place
        (n,) how many events of the same hour and user came before the event.
    size
        n.
    """

    user: Int64s
    begin: Int64s
    last: Bools
    columns: dict[str, Int64s]
    place: Int64s
    size: int

    @classmethod
    def of(cls, rows: Rows, user: Int64s, time: Int64s, touch: Bools) -> "_Runs":
        """Cut events into hours; a late event counts to the hour that its user has reached."""
        first = np.diff(user, prepend=-1) != 0
        hour = _reached(np.maximum(time // HOUR_MS, np.where(first, rows["busy_hour"][user], 0)), first)
        begin = np.flatnonzero(first | (np.diff(hour, prepend=-1) != 0))
        sizes = np.diff(np.append(begin, user.size))
        users, hours = user[begin], hour[begin]
        same = first[begin] & (hours == rows["busy_hour"][users]) & (rows["busy_events"][users] > 0)
        held = {name: np.where(same, rows[name][users].astype(np.int64), 0) for name, _ in FIELDS[1:-1]}
        gap = np.diff(time, prepend=0)
        gap[begin] = np.where(same, time[begin] - held["busy_last_ms"], 0)
        columns = {
            "busy_hour": hours,
            "busy_events": held["busy_events"] + sizes,
            "busy_touches": held["busy_touches"] + np.add.reduceat(touch.astype(np.int64), begin),
            "busy_first_ms": np.where(same, held["busy_first_ms"], time[begin]),
            "busy_last_ms": time[begin + sizes - 1],
            "busy_gaps": held["busy_gaps"] + np.add.reduceat(gap * gap, begin),
        }
        place = np.arange(user.size) - np.repeat(begin - held["busy_events"], sizes)
        last = np.append(users[1:] != users[:-1], True)
        return cls(users, begin, last, columns, place, user.size)

    def closed(self, rows: Rows) -> list[_Run]:
        """Return the hours that ended with one of the events and held enough of them."""
        starts = np.append(True, self.last[:-1])
        fresh = starts & (self.columns["busy_hour"] != rows["busy_hour"][self.user])
        ends = np.append(self.begin[1:], self.size)
        end_of_user = ends[np.flatnonzero(self.last)][np.cumsum(starts) - 1]
        found = [
            _run(self.begin[run], end_of_user[run], {name: rows[name][self.user[run]] for name, _ in FIELDS})
            for run in np.flatnonzero(fresh & (rows["busy_events"][self.user] >= _JUDGED)).tolist()
        ]
        inner = ~self.last & (self.columns["busy_events"] >= _JUDGED)
        return found + [
            _run(ends[run], end_of_user[run], {name: column[run] for name, column in self.columns.items()})
            for run in np.flatnonzero(inner).tolist()
        ]

    def keep(self, rows: Rows) -> None:
        """Let the rows hold their users' last hours."""
        for name, column in self.columns.items():
            rows[name][self.user[self.last]] = column[self.last]


def _run(at: int, end: int, held: dict[str, Any]) -> _Run:
    events, first_ms, last_ms = (int(held[name]) for name in ("busy_events", "busy_first_ms", "busy_last_ms"))
    span_ms = max(abs(last_ms - first_ms), 1)
    mean_square = int(held["busy_gaps"]) / (events - 1)
    variation = math.sqrt(max(mean_square * ((events - 1) / span_ms) ** 2 - 1.0, 0.0))
    features = {
        "events": min(1.0, math.log10(events) / 4),
        "rate": min(1.0, math.log10(1 + 10_000 * events / span_ms) / 3),
        "regular": variation / (1 + variation),
        "touches": int(held["busy_touches"]) / events,
    }
    return _Run(int(at), int(end), int(held["busy_hour"]), events, features)


def _reached(hour: Int64s, first: Bools) -> Int64s:
    """Return the largest hour so far of each user; users lie together, `first` marks their first events.

    >>> _reached(np.array([5, 3, 9, 4, 6]), np.array([True, False, False, True, False])).tolist()
    [5, 5, 9, 4, 6]
    """
    # Each user's hours are lifted above those of the one before, so that one running maximum serves all.
    lift = (np.cumsum(first) - 1) * (int(hour.max(initial=0)) + 1)
    return np.asarray(np.maximum.accumulate(hour + lift) - lift)


def _trees() -> Any:
    trees: Any = HalfSpaceTrees(n_trees=_TREES, height=_HEIGHT, window_size=_WINDOW, seed=1)
    # They are built at the first example; one that is taken back at once fixes their shape.
    trees.learn_one(dict.fromkeys(("events", "rate", "regular", "touches"), 0.0))
    trees.counter = 0
    for tree in trees.trees:
        for node in tree.iter_dfs():
            node.l_mass = 0
    return trees
