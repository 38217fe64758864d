"""Follows the users of a partition through experiments: who was shown which list, and what came of it.

A user counts once in an experiment: what happens within a fixed window after the first list. So users are
independent of one another, which is what the intervals need; lists of one user are not. What is kept of a
user is a row of the partition's changelog.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from operator import index
from typing import Any, Final

import numpy as np

from online_models import snapshots
from online_models.errors import CorruptStateError
from online_models.events import KIND, TOUCH_KINDS, EventBatch, Int64s, UInt64s
from online_models.experiments.outcomes import UserOutcome
from online_models.experiments.settings import ExperimentSettings, Variant
from online_models.subject_rows import changed_rows, load_rows

ROW_PREFIX: Final = b"\0experiments:"

_VERSION: Final = 1
_KIND: Final = "experiment-user"
_CLICKS: Final = (KIND["select_item"], KIND["view_item"])
_PURCHASE: Final = KIND["purchase"]
_ROW_BYTES: Final = 600


@dataclass(slots=True)
class _Taking:
    """A user in an experiment: since when, and what has come of it."""

    variant: str
    began_ms: int
    cases: int = 0
    hits: int = 0
    clicked: bool = False
    bought: bool = False

    def plain(self) -> list[Any]:
        return [self.variant, self.began_ms, self.cases, self.hits, self.clicked, self.bought]

    @classmethod
    def of(cls, plain: Sequence[Any]) -> "_Taking":
        variant, began_ms, cases, hits, clicked, bought = plain
        return cls(str(variant), index(began_ms), index(cases), index(hits), bool(clicked), bool(bought))


@dataclass(slots=True)
class _Followed:
    """A user: what is open, what is over, the latest list, and the item on the screen then."""

    taking: dict[str, _Taking] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)
    listed: frozenset[int] = frozenset()
    on_screen: int = 0
    waiting: bool = False
    """Whether no other item was touched since the list."""


class ExperimentFollower:
    """The users of a partition who take part in experiments.

    Parameters
    ----------
    settings
        The experiments; without any, nothing is kept.

    Attributes
    ----------
    unfollowed
        Users who saw a list and were not followed, because there are too many.
    """

    def __init__(self, settings: ExperimentSettings) -> None:
        self.settings = settings
        self.unfollowed = 0
        self._users: dict[str, _Followed] = {}
        self._due: list[tuple[int, str, str]] = []
        self._dirty: set[str] = set()
        self._experiments = {experiment.name: experiment for experiment in settings.experiments}

    def __len__(self) -> int:
        """Return the number of users that are followed, or were."""
        return len(self._users)

    @property
    def nbytes(self) -> int:
        """Bytes, about."""
        return _ROW_BYTES * len(self._users)

    def variants_of(self, subject: str) -> tuple[Variant, ...]:
        """Return what a subject sees of each experiment, in the order of the settings."""
        return tuple(experiment.variant_of(subject) for experiment in self.settings.experiments)

    def served(
        self, subjects: Sequence[str], lists: Sequence[UInt64s], current: Sequence[int], now_ms: int
    ) -> None:
        """Note the lists that users are given; whoever gets the first one takes part from now on.

        Parameters
        ----------
        subjects, lists
            n users and the hashes of their lists' items.
        current
            n hashes: the item each user is looking at.
        now_ms
            Event time, epoch milliseconds.
        """
        if not self._experiments:
            return
        for subject, items, on_screen in zip(subjects, lists, current, strict=True):
            user = self._users.get(subject)
            if user is None:
                if len(self._users) >= self.settings.max_users:
                    self.unfollowed += 1
                    continue
                user = self._users[subject] = _Followed()
            for name, experiment in self._experiments.items():
                if name not in user.taking and name not in user.over:
                    user.taking[name] = _Taking(experiment.variant_of(subject).name, now_ms)
                    self._plan(subject, name, now_ms)
            if user.taking:
                user.listed, user.on_screen, user.waiting = frozenset(items.tolist()), on_screen, True
                self._dirty.add(subject)

    def saw(self, events: EventBatch, accepted: Int64s) -> None:
        """Count accepted events, in log order, for the users who take part.

        Parameters
        ----------
        events
            Of the partition.
        accepted
            (n,) indices of those that count.
        """
        if not self._users:
            return
        for place in accepted[np.isin(events.kind[accepted], TOUCH_KINDS)].tolist():
            user = self._users.get(events.subject[place])
            if user is not None and user.taking:
                items = events.item_hash[events.item_start[place] : events.item_start[place + 1]].tolist()
                self._count(user, int(events.kind[place]), int(events.time[place]), items)
                self._dirty.add(events.subject[place])

    def matured(self, now_ms: int) -> list[UserOutcome]:
        """Return what came of users whose window is over, in the order of its end."""
        found = []
        while self._due and self._due[0][0] <= now_ms:
            due_ms, subject, name = heappop(self._due)
            user = self._users.get(subject)
            taking = user.taking.get(name) if user else None
            # A user who was forgotten meanwhile may have begun anew.
            if user is None or taking is None or self._ends(taking.began_ms) != due_ms:
                continue
            del user.taking[name]
            user.over.add(name)
            if not user.taking:
                user.listed, user.on_screen, user.waiting = frozenset(), 0, False
            self._dirty.add(subject)
            experiment = self._experiments[name]
            rate = taking.hits / taking.cases if taking.cases else float("nan")
            found.append(
                UserOutcome(
                    name,
                    taking.variant,
                    taking.variant == experiment.control,
                    taking.began_ms,
                    taking.began_ms + self.settings.window_ms,
                    (rate, float(taking.clicked), float(taking.bought)),
                )
            )
        return found

    def forget(self, subject: str) -> None:
        """Drop a user; what was added up before stays, as it names nobody."""
        if self._users.pop(subject, None) is not None:
            self._dirty.add(subject)

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows changed since the last call."""
        rows = changed_rows(ROW_PREFIX, self._dirty, self._row)
        self._dirty = set()
        return rows

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load rows as `dirty_rows` returns them, in log order; call `restored` after the last.

        Raises
        ------
        CorruptStateError
            When a row cannot be loaded; the message names its key.
        """
        load_rows(ROW_PREFIX, rows, self._users, kind=_KIND, read=_read)

    def restored(self) -> None:
        """Finish loading: what belongs to experiments that are no more is forgotten."""
        self._due = []
        for subject, user in list(self._users.items()):
            gone = {*user.taking, *user.over} - self._experiments.keys()
            gone |= {name for name, taking in user.taking.items() if not self._has(name, taking.variant)}
            if gone:
                self._dirty.add(subject)
                user.over -= gone
                for name in gone & user.taking.keys():
                    del user.taking[name]
            if not user.taking and not user.over:
                del self._users[subject]
            for name, taking in user.taking.items():
                self._due.append((self._ends(taking.began_ms), subject, name))
        heapify(self._due)

    def _count(self, user: _Followed, kind: int, time_ms: int, items: Sequence[int]) -> None:
        others = [item for item in items if item != user.on_screen]
        case = user.waiting and bool(others)
        hit = case and others[0] in user.listed
        clicked = kind in _CLICKS and not user.listed.isdisjoint(others)
        user.waiting &= not case
        for taking in user.taking.values():
            if taking.began_ms <= time_ms < taking.began_ms + self.settings.window_ms:
                taking.cases += case
                taking.hits += hit
                taking.clicked |= clicked
                taking.bought |= kind == _PURCHASE

    def _plan(self, subject: str, name: str, began_ms: int) -> None:
        heappush(self._due, (self._ends(began_ms), subject, name))

    def _ends(self, began_ms: int) -> int:
        return began_ms + self.settings.window_ms + self.settings.lateness_ms

    def _has(self, name: str, variant: str) -> bool:
        experiment = self._experiments.get(name)
        return experiment is not None and variant in {one.name for one in experiment.variants}

    def _row(self, subject: str) -> bytes | None:
        user = self._users.get(subject)
        if user is None:
            return None
        content = {
            "taking": {name: taking.plain() for name, taking in user.taking.items()},
            "over": sorted(user.over),
            "listed": np.array(sorted(user.listed), np.uint64),
            "on_screen": user.on_screen,
            "waiting": user.waiting,
        }
        return snapshots.pack(_KIND, _VERSION, content)


def _read(value: bytes) -> _Followed:
    content = snapshots.unpack(_KIND, _VERSION, value)
    if not isinstance(content["listed"], np.ndarray):
        raise CorruptStateError("the list of a user in an experiment is no column")
    return _Followed(
        {str(name): _Taking.of(plain) for name, plain in content["taking"].items()},
        {str(name) for name in content["over"]},
        frozenset(content["listed"].tolist()),
        index(content["on_screen"]),
        bool(content["waiting"]),
    )
