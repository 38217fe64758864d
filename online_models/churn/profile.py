"""All users of one event partition: their rows, sessions, checks, pending labels and alerts."""

import operator
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from online_models import snapshots
from online_models.admission import ROW_PREFIX as ADMISSION_ROWS
from online_models.admission import Admission
from online_models.churn.alerts import Reason
from online_models.churn.checks import Checker
from online_models.churn.effects import Collected, UserEffects, UserView
from online_models.churn.ingest import apply_events
from online_models.churn.labels import ROW_PREFIX as LABEL_ROWS
from online_models.churn.labels import PendingLabels
from online_models.churn.rows import user_layout
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import UserSettings
from online_models.clock import NEVER, PartitionClock
from online_models.errors import CorruptStateError, blame
from online_models.events import EVENT_NAMES, KIND, EventBatch, Int64s, UInt64s, hash_id
from online_models.items.histories import Histories
from online_models.journal import Journal
from online_models.row_format import SCHEMA_ROWS
from online_models.table import Table

CLOCK_ROW: Final = b"\0clock"
_ERASED: Final = KIND["user_erased"]
_CHECKED: Final = "u:"


class UserStore:
    """The users' side of one partition.

    Every result depends on the log and on the scorers passed in, never on where batches were cut.

    Parameters
    ----------
    settings
        Horizon, checks, sessions, alerts.
    """

    def __init__(self, settings: UserSettings) -> None:
        self.settings = settings
        self.clock = PartitionClock(settings.tick_ms)
        self._table = Table(user_layout(settings))
        self._labels = PendingLabels(settings)
        self._admission = Admission(
            allowed_lateness_ms=settings.allowed_lateness_ms, dedupe_window_ms=settings.dedupe_window_ms
        )
        self._checker = Checker(settings)
        self._journal = Journal()
        self._check: Int64s = np.full(self._table.rows.size, NEVER)
        self._hash: UInt64s = np.zeros(self._table.rows.size, np.uint64)
        self._checked = np.zeros(self._table.rows.size, np.bool_)
        self._clock_dirty = False

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self._table)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns of users and their landmarks."""
        return self._table.nbytes + self._labels.nbytes

    def apply(self, events: EventBatch, scorer: ChurnScorer | None = None) -> UserEffects:
        """Apply events in log order, running the ticks that fall between them.

        Parameters
        ----------
        events
            Decoded events of the partition.
        scorer
            The newest model; None scores by recency and alerts nobody.
        """
        found = Collected()
        for start, stop, tick_ms in self.clock.split(events.time, self.next_due):
            if tick_ms is None:
                self._admit(events, start, stop, found)
            else:
                self._tick(tick_ms, scorer, found)
        self._clock_dirty |= len(events) > 0
        return found.done()

    def tick(self, now_ms: int, scorer: ChurnScorer | None = None) -> UserEffects:
        """Let the live clock reach a time without an event and run the ticks due before it."""
        found = Collected()
        before = self.clock.now_ms
        for tick_ms in self.clock.advance(now_ms, self.next_due):
            self._tick(tick_ms, scorer, found)
        self._clock_dirty |= self.clock.now_ms != before
        return found.done()

    def next_due(self) -> int:
        """Return the time of the earliest pending check, label or forgetting; `NEVER` without one."""
        checks = int(self._check[: self._table.size].min(initial=NEVER))
        return min(checks, self._labels.next_due(), self._admission.next_due())

    def lookup(self, subject: str) -> UserView | None:
        """Return what is known of a user, None where nothing is."""
        number = self._table.get(subject)
        if number < 0:
            return None
        row = self._table.rows[number]
        counts = zip(EVENT_NAMES, row["event_counts"].tolist(), strict=True)
        return UserView(
            subject=subject,
            event_counts={name: count for name, count in counts if count},
            first_ms=int(row["first_ms"]),
            last_ms=int(row["last_ms"]),
            sessions=int(row["sessions"]),
            session_start_ms=int(row["session_start_ms"]),
            session_touches=int(row["session_touches"]),
            recent=[value for value in row["recent"].tolist() if value],
            bought=[value for value in row["bought"].tolist() if value],
            spend=float(row["spend"]),
            cart_items=max(int(row["cart_items"]), 0),
            score=float(row["score"]),
            score_ms=int(row["score_ms"]),
            score_version=int(row["score_version"]),
            alert_ms=int(row["alert_ms"]),
            pending_labels=self._labels.waiting(subject),
        )

    def reasons(self, subject: str, scorer: ChurnScorer | None) -> tuple[Reason, ...]:
        """Return what speaks for a user's leaving now, the strongest first; nothing without a model."""
        number = self._table.get(subject)
        if number < 0 or scorer is None or not scorer.ready:
            return ()
        return self._checker.explain(self._table.rows[[number]], self.clock.now_ms, scorer)

    def histories(self, subjects: Sequence[str]) -> Histories:
        """Return the recent touches and purchases of users; unknown ones have none."""
        numbers = self._table.find(subjects)
        rows = self._table.rows[np.maximum(numbers, 0)]
        rows[numbers < 0] = np.zeros((), rows.dtype)
        touched = rows["session_touches"].astype(np.int64)
        return Histories(
            items=rows["recent"].copy(),
            in_session=np.minimum(touched, self.settings.recent_items),
            session_length=touched,
            bought=rows["bought"].copy(),
            bought_ms=rows["bought_ms"].copy(),
        )

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows changed since the last call, encoded."""
        changed = [*self._table.dirty_rows(), *self._labels.dirty_rows(), *self._admission.dirty_rows()]
        if self._clock_dirty:
            self._clock_dirty = False
            state = {
                "clock": self.clock.pack(),
                "latest_ms": self._admission.latest_ms,
                "alert_day": self._checker.policy.day,
                "alerts": self._checker.policy.sent,
            }
            changed.append((CLOCK_ROW, snapshots.pack("users-clock", 1, state)))
        return self._journal.seal(changed)

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load rows as `dirty_rows` returns them, in log order; call `restored` after the last.

        Raises
        ------
        CorruptStateError
            When a row cannot be loaded; the message names its key.
        """
        users: list[tuple[bytes, bytes | None]] = []
        labels: list[tuple[bytes, bytes | None]] = []
        ids: list[tuple[bytes, bytes | None]] = []
        for row in self._journal.open(rows):
            key = row[0]
            if key[:1] != b"\0" or key.startswith(SCHEMA_ROWS):
                users.append(row)
            elif key.startswith(LABEL_ROWS):
                labels.append(row)
            elif key.startswith(ADMISSION_ROWS):
                ids.append(row)
            elif key == CLOCK_ROW and row[1] is not None:
                self._restore_clock(row[1])
            else:
                raise CorruptStateError(f"row {key!r} is of no kind that this release knows", key)
        self._table.restore(users)
        self._labels.restore(labels)
        self._admission.restore(ids)

    def restored(self) -> None:
        """Finish loading."""
        self._admission.restored()
        self._make_room()
        rows = self._table.live_rows()
        self._check[:] = NEVER
        self._identify(rows)
        self._schedule(rows)
        self._labels.restored(hash_id)

    def _restore_clock(self, data: bytes) -> None:
        with blame(CLOCK_ROW), snapshots.reading("users-clock"):
            state = snapshots.unpack("users-clock", 1, data)
            self.clock.unpack(state["clock"])
            policy = self._checker.policy
            names = ("latest_ms", "alert_day", "alerts")
            self._admission.latest_ms, policy.day, policy.sent = (
                operator.index(state[name]) for name in names
            )

    def _admit(self, events: EventBatch, start: int, stop: int, found: Collected) -> None:
        cut = slice(start, stop)
        admitted = self._admission.admit(events.event_id[cut], events.time[cut])
        accepted = admitted.accepted + start
        found.accepted.append(accepted)
        found.duplicates.append(admitted.duplicates + start)
        found.rejects += [(index + start, reject) for index, reject in admitted.rejects]
        for piece in np.split(accepted, np.flatnonzero(events.kind[accepted] == _ERASED)):
            erased = piece.size > 0 and events.kind[piece[0]] == _ERASED
            if erased:
                self._erase(events.subject[int(piece[0])], found)
            if piece.size > erased:
                self._update(events, piece[int(erased) :], found)

    def _erase(self, subject: str, found: Collected) -> None:
        row = self._table.get(subject)
        if row >= 0:
            self._check[row] = NEVER
            self._table.remove(subject)
        self._labels.remove(subject)
        found.active.pop(subject, None)
        found.erased.append(subject)

    def _update(self, events: EventBatch, index: Int64s, found: Collected) -> None:
        subjects = [events.subject[i] for i in index.tolist()]
        numbers, created = self._table.intern(subjects)
        self._make_room()
        self._identify(created)
        unique, group = np.unique(numbers, return_inverse=True)
        rows = self._table.rows[unique]
        applied = apply_events(rows, group, events, index, self.settings, self.clock.next_tick_ms)
        self._table.rows[unique] = rows
        self._table.touch(unique)
        keys = [self._table.key_of(number) for number in unique.tolist()]
        self._labels.note_activity(keys, applied.group, applied.time)
        self._schedule(unique)
        if applied.pairs is not None:
            found.pairs.append(applied.pairs)
        for event in applied.touching.tolist():
            found.note_active(events.subject[event], int(events.offset[event]))

    def _identify(self, rows: Int64s) -> None:
        keys = [self._table.key_of(row) for row in rows.tolist()]
        self._hash[rows] = np.array([hash_id(key) for key in keys], np.uint64)
        self._checked[rows] = [key.startswith(_CHECKED) for key in keys]

    def _schedule(self, rows: Int64s) -> None:
        """Set when users are checked next: at their phase, as long as they count as active then."""
        interval_ms = self.settings.check_interval_ms
        earliest = self.clock.next_tick_ms
        ahead = (self._phase(rows) - earliest) % interval_ms
        check = earliest + ahead
        last_ms = self._table.rows["last_ms"][rows]
        active = (last_ms > 0) & (last_ms > check - self.settings.horizon_ms)
        self._check[rows] = np.where(active & self._checked[rows], check, NEVER)

    def _phase(self, rows: Int64s) -> Int64s:
        """Return (n,) offset of the users' landmarks in the landmark interval, on the grid of ticks."""
        slots = np.uint64(self.settings.landmark_interval_ms // self.settings.tick_ms)
        return (self._hash[rows] % slots).astype(np.int64) * self.settings.tick_ms

    def _tick(self, now_ms: int, scorer: ChurnScorer | None, found: Collected) -> None:
        self._admission.tick(now_ms)
        found.examples.append(self._labels.mature(now_ms))
        due = np.flatnonzero(self._check[: self._table.size] <= now_ms)
        if due.size:
            # By hash, so that nothing depends on the order in which rows were made or restored.
            due = due[np.argsort(self._hash[due], kind="stable")]
            self._check_users(due, now_ms, scorer, found)
            self._schedule(due)

    def _check_users(self, due: Int64s, now_ms: int, scorer: ChurnScorer | None, found: Collected) -> None:
        rows = self._table.rows[due]
        subjects = [self._table.key_of(row) for row in due.tolist()]
        x, scores, alerts = self._checker.check(subjects, rows, now_ms, scorer)
        self._table.rows[due] = rows
        self._table.touch(due)
        marks = np.flatnonzero((now_ms - self._phase(due)) % self.settings.landmark_interval_ms == 0)
        marked = [subjects[i] for i in marks.tolist()]
        self._labels.freeze(marked, self._hash[due[marks]], x[marks], now_ms)
        found.scores += scores
        found.alerts += alerts
        self._clock_dirty = True

    def _make_room(self) -> None:
        capacity = self._table.rows.size
        if capacity > self._check.size:
            more = capacity - self._check.size
            self._check = np.concatenate((self._check, np.full(more, NEVER)))
            self._hash = np.concatenate((self._hash, np.zeros(more, np.uint64)))
            self._checked = np.concatenate((self._checked, np.zeros(more, np.bool_)))
