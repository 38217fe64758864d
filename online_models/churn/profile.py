"""All users of one event partition: their rows, sessions, checks, pending labels and alerts."""

import operator
from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from online_models import snapshots
from online_models.admission import ROW_PREFIX as ADMISSION_ROWS
from online_models.admission import Admission
from online_models.churn.checks import Checker
from online_models.churn.deferred import Deferred
from online_models.churn.effects import Collected, ForgetReason, UserEffects, UserView
from online_models.churn.erasure import ERASED, at_their_place
from online_models.churn.ingest import apply_events
from online_models.churn.labels import ROW_PREFIX as LABEL_ROWS
from online_models.churn.labels import PendingLabels
from online_models.churn.quarantine import QUARANTINE_ROW, Quarantine
from online_models.churn.reasons import Explanation
from online_models.churn.rows import ANCHOR_MS, spend_of, user_layout
from online_models.churn.schedule import Schedule, last_seen_ms
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import DAY_MS, UserSettings
from online_models.churn.views import histories_of, view_of
from online_models.clock import NEVER, PartitionClock
from online_models.errors import CorruptStateError, blame
from online_models.events import EventBatch, Int64s, hash_id
from online_models.experiments.follower import ROW_PREFIX as EXPERIMENT_ROWS
from online_models.experiments.follower import ExperimentFollower
from online_models.items import shown
from online_models.items.histories import Histories
from online_models.items.own_items import OWN_FIELDS, OwnItems, OwnMemory
from online_models.items.sampling import TouchSampler
from online_models.journal import Journal, Journaled, Row
from online_models.packed_table import PackedTable
from online_models.row_format import SCHEMA_ROWS
from online_models.value.daily import DayEnds, look
from online_models.winback.bandit import BanditPolicy
from online_models.winback.desk import WinbackDesk
from online_models.winback.open_decisions import ROW_PREFIX as DECISION_ROWS

CLOCK_ROW: Final = b"\0clock"


class UserStore:
    """The users' side of one partition.

    Every result depends on the log and on the scorers passed in, never on where batches were cut. Memory is
    bounded: who was idle for `state_ttl_ms` is forgotten at the next tick, and where there are more than
    `max_users`, a tick forgets the longest idle ones until a tenth of the places is free.

    Parameters
    ----------
    settings
        Horizon, checks, sessions, alerts, bounds.
    """

    def __init__(self, settings: UserSettings) -> None:
        self.settings = settings
        self.clock = PartitionClock(settings.tick_ms)
        self._table = PackedTable(user_layout(settings), ragged=OWN_FIELDS)
        self._labels = PendingLabels(settings)
        self._admission = Admission(
            allowed_lateness_ms=settings.allowed_lateness_ms,
            dedupe_window_ms=settings.dedupe_window_ms,
            max_ids=settings.dedupe_max_ids,
        )
        self._checker = Checker(settings)
        self._quarantine = Quarantine(settings.quarantine)
        self._desk = WinbackDesk(settings)
        self._days = DayEnds()
        self._schedule = Schedule(settings, self._table.capacity)
        self._sampler = TouchSampler(settings.contexts_per_second)
        self.experiments = ExperimentFollower(settings.experiments)
        self._shown = shown.ShownLists(settings.session_gap_ms, settings.allowed_lateness_ms)
        first = (self._table, self._labels, self._admission, self._desk.waiting)
        self._parts: tuple[Journaled, ...] = (*first, self.experiments, self._shown)
        self._journal, self._deferred = Journal(), Deferred()
        self._clock_dirty = False

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self._table)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns of users and their landmarks, and of the remembered event ids."""
        return sum(part.nbytes for part in self._parts) + self._schedule.nbytes

    @property
    def remembered_ids(self) -> int:
        """Event ids in the dedupe window."""
        return len(self._admission)

    @property
    def dropped_ids(self) -> int:
        """Event ids dropped by this process before their window had passed, because there were too many."""
        return self._admission.dropped

    def apply(
        self, events: EventBatch, scorer: ChurnScorer | None = None, bandit: BanditPolicy | None = None
    ) -> UserEffects:
        """Apply events in log order, running the ticks that fall between them.

        An erasure takes effect where it lies in the log, whatever its time.

        Parameters
        ----------
        events
            Decoded events of the partition.
        scorer
            The newest model; None scores by recency and alerts nobody.
        bandit
            What is believed of the actions; None believes nothing.
        """
        events = at_their_place(events, self.clock.now_ms)
        found = Collected()
        for start, stop, tick_ms in self.clock.split(events.time, self.next_due):
            if tick_ms is None:
                self._admit(events, start, stop, found)
            else:
                self._tick(tick_ms, scorer, bandit, found)
        self._settle(found)
        self._clock_dirty |= len(events) > 0
        return found.done()

    def tick(
        self, now_ms: int, scorer: ChurnScorer | None = None, bandit: BanditPolicy | None = None
    ) -> UserEffects:
        """Let the live clock reach a time without an event and run the ticks due before it."""
        found = Collected()
        before = self.clock.now_ms
        for tick_ms in self.clock.advance(now_ms, self.next_due):
            self._tick(tick_ms, scorer, bandit, found)
        self._clock_dirty |= self.clock.now_ms != before
        return found.done()

    def next_due(self) -> int:
        """Return the time of the earliest pending check, label or forgetting; `NEVER` without one."""
        if len(self._table) > self.settings.max_users:
            return 0
        parts = (self._schedule, self._labels, self._admission, self._desk.waiting)
        return min(self._next_look_ms(), self._deferred.soonest_ms, *(part.next_due() for part in parts))

    def lookup(self, subject: str) -> UserView | None:
        """Return what is known of a user, None where nothing is."""
        number = self._table.get(subject)
        if number < 0:
            return None
        return view_of(subject, self._table.read(np.array([number]))[0], self._labels.waiting(subject))

    def explanation(self, subject: str, scorer: ChurnScorer | None) -> Explanation:
        """Return why a user is likely to leave now; nothing without a model."""
        number = self._table.get(subject)
        if number < 0 or scorer is None or not scorer.ready:
            return Explanation()
        # A live clock may lag behind an event that has just been taken.
        row = self._table.read(np.array([number]))
        now_ms = max(self.clock.now_ms, int(row["last_ms"][0]))
        return self._checker.explain(row, now_ms, scorer)

    def histories(self, subjects: Sequence[str]) -> Histories:
        """Return the recent touches and purchases of users; unknown ones have none."""
        numbers = self._table.find(subjects)
        return histories_of(self._table.read(numbers), OwnItems(*self._table.ragged.take(numbers)))

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the rows changed since the last call, encoded."""
        changed = [row for part in self._parts for row in part.dirty_rows()]
        changed += self._quarantine.dirty_rows()
        if self._clock_dirty:
            self._clock_dirty = False
            state = {
                "clock": self.clock.pack(),
                "latest_ms": self._admission.latest_ms,
                "alert_day": self._checker.policy.day,
                "alerts": self._checker.policy.sent,
                "alert_best": self._checker.policy.best,
                "alert_bar": self._checker.policy.bar,
                "winback": self._desk.budget_state(),
                "looked_ms": self._days.looked_ms,
                "touch_sample": self._sampler.state(),
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
        kinds = (b"", LABEL_ROWS, ADMISSION_ROWS, DECISION_ROWS, EXPERIMENT_ROWS, shown.ROW_PREFIX)
        found: dict[bytes, list[Row]] = {kind: [] for kind in kinds}
        for row in self._journal.open(rows):
            key = row[0]
            if key[:1] != b"\0" or key.startswith(SCHEMA_ROWS):
                found[b""].append(row)
            elif key.startswith(kinds[1:]):
                found[next(kind for kind in kinds[1:] if key.startswith(kind))].append(row)
            elif key == QUARANTINE_ROW:
                with blame(key), snapshots.reading("quarantine"):
                    self._quarantine.restore(row[1])
            elif key == CLOCK_ROW and row[1] is not None:
                self._restore_clock(row[1])
            else:
                raise CorruptStateError(f"row {key!r} is of no kind that this release knows", key)
        for part, kind in zip(self._parts, kinds, strict=True):
            part.restore(found[kind])

    def restored(self) -> None:
        """Finish loading."""
        self._admission.restored()
        self.experiments.restored()
        numbers = self._table.live_rows()
        self._identify(numbers)
        self._plan(numbers)
        self._labels.restored(hash_id)

    def _restore_clock(self, data: bytes) -> None:
        with blame(CLOCK_ROW), snapshots.reading("users-clock"):
            state = snapshots.unpack("users-clock", 1, data)
            self.clock.unpack(state["clock"])
            policy = self._checker.policy
            self._admission.latest_ms = operator.index(state["latest_ms"])
            policy.day, policy.sent = operator.index(state["alert_day"]), operator.index(state["alerts"])
            self._days.looked_ms = operator.index(state.get("looked_ms", 0))
            policy.best = [float(urgency) for urgency in state.get("alert_best", ())]
            policy.bar = float(state.get("alert_bar", 0.0))
            if "winback" in state:
                self._desk.restore_budget(state["winback"])
            # Releases before the ranker learned kept no sample.
            self._sampler.restore(state.get("touch_sample", [0, 0, 0, 0]))

    def _admit(self, events: EventBatch, start: int, stop: int, found: Collected) -> None:
        cut = slice(start, stop)
        admitted = self._admission.admit(events.event_id[cut], events.time[cut])
        accepted = admitted.accepted + start
        found.accepted.append(accepted)
        found.duplicates.append(admitted.duplicates + start)
        found.rejects += [(index + start, reject) for index, reject in admitted.rejects]
        erasures = np.flatnonzero(events.kind[accepted] == ERASED)
        for piece in np.split(accepted, erasures) if erasures.size else (accepted,):
            erased = piece.size > 0 and events.kind[piece[0]] == ERASED
            if erased:
                self._settle(found)
                subject = events.subject[piece[0]]
                self._forget(subject, self._table.get(subject))
                found.forget(found.forgotten_now(subject, "erased", event=int(piece[0])))
            if piece.size > erased:
                self._defer(events, piece[int(erased) :], found)

    def _forget(self, subject: str, number: int) -> None:
        if number >= 0:
            self._schedule.drop(np.array([number]))
            self._table.remove(subject)
        self._labels.remove(subject)
        self._desk.waiting.remove(subject)
        self._shown.remove(subject)

    def _defer(self, events: EventBatch, index: Int64s, found: Collected) -> None:
        """Let accepted events wait until a tick looks at their users."""
        next_tick_ms = self.clock.next_tick_ms
        if (next_tick_ms - 1) // ANCHOR_MS != (self._deferred.next_tick_ms - 1) // ANCHOR_MS:
            self._settle(found)
        numbers, created = self._table.intern([events.subject[i] for i in index.tolist()])
        self._identify(created)
        if created.size == len(self._table):  # the first users of all, or after everyone had gone
            self._days.begin(max(int(events.time[index[0]]), next_tick_ms - self.settings.tick_ms))
        soonest_ms = self._schedule.soonest(numbers, events.time[index], next_tick_ms)
        self._deferred.add(events, index, numbers, soonest_ms, next_tick_ms)

    def _concerns_deferred(self, tick_ms: int) -> bool:
        """Return whether a tick might look at anything that deferred events change."""
        deferred, full = self._deferred, len(self._table) > self.settings.max_users
        if deferred.soonest_ms <= tick_ms or tick_ms % DAY_MS == 0 or full:
            return True
        # Of labels that mature now, only activity up to the lateness before now may tell more.
        late = deferred.oldest_ms <= tick_ms - self.settings.allowed_lateness_ms
        return self._desk.waiting.next_due() <= tick_ms or (
            late and self._labels.matures(self._schedule.hash[deferred.numbers], tick_ms)
        )

    def _settle(self, found: Collected) -> None:
        """Apply the events that wait."""
        taken = self._deferred.take()
        if taken is None:
            return
        events, index, numbers, next_tick_ms = taken
        unique, first, group = np.unique(numbers, return_index=True, return_inverse=True)
        rows = self._table.read(unique)
        kind, time = events.kind[index], events.time[index]
        verdict = self._quarantine.judge(rows, group, kind, time)
        found.muted.update(verdict.counts)
        own, tick_ms = OwnMemory(self._table.ragged, unique), int(next_tick_ms[0])
        applied = apply_events(
            *(rows, own, group, events, index, self.settings, tick_ms, self._sampler),
            *(verdict.muted, self._shown.places(events, index)),
        )
        self._table.write(unique, rows)
        self._table.touch(unique)
        keys = [self._table.key_of(number) for number in unique.tolist()]
        self._labels.note_activity(keys, applied.group, applied.time)
        if len(self._desk.waiting):
            self._desk.waiting.note(keys, group, kind, time, spend_of(events, index))
        # As of the users' first events: no tick since has looked at them.
        self._schedule.plan(unique, rows, next_tick_ms[first])
        if applied.pairs is not None:
            found.note_touches(applied.pairs, applied.contexts)
        for event in applied.touching.tolist():
            found.note_active(events.subject[event], int(events.offset[event]))

    def _identify(self, numbers: Int64s) -> None:
        keys = [self._table.key_of(number) for number in numbers.tolist()]
        self._schedule.identify(numbers, keys, self._table.capacity)

    def _plan(self, numbers: Int64s) -> None:
        self._schedule.plan(numbers, self._table.read(numbers), self.clock.next_tick_ms)

    def _tick(
        self, now_ms: int, scorer: ChurnScorer | None, bandit: BanditPolicy | None, found: Collected
    ) -> None:
        self._admission.tick(now_ms)
        if self._deferred and self._concerns_deferred(now_ms):
            self._settle(found)
        found.examples.append(self._labels.mature(now_ms))
        found.outcomes += self._desk.waiting.mature(now_ms)
        due = self._schedule.due(now_ms)
        silent = last_seen_ms(self._table.read(due)) <= now_ms - self.settings.state_ttl_ms
        self._evict(due[silent], "idle", found)
        self._make_places(found)
        self._look(now_ms, found)
        due = due[~silent]
        # Read anew: to make places, others of these users may have been forgotten.
        due = due[self._table.read(due)["last_ms"] > 0]
        if due.size:
            self._check_users(due, now_ms, scorer, bandit, found)
            self._plan(due)

    def _next_look_ms(self) -> int:
        known = self.settings.daily_look and len(self._table)
        return self._days.next_ms(self.clock.now_ms) if known else NEVER

    def _look(self, now_ms: int, found: Collected) -> None:
        """At the end of a day: every customer's profile where it has changed, and the board."""
        if not self.settings.daily_look or not self._days.ends(now_ms):
            return
        numbers = self._schedule.customers(self._table.live_rows())
        rows = self._table.read(numbers)
        active = rows["last_ms"] > 0
        numbers, rows = numbers[active], rows[active]
        before = rows[["stage", "segment"]].copy()
        profiles, board = look([self._table.key_of(n) for n in numbers.tolist()], rows, now_ms, self.settings)
        self._table.write(numbers, rows)
        self._table.touch(numbers[before != rows[["stage", "segment"]]])
        found.profiles += profiles
        found.boards.append(board)

    def _make_places(self, found: Collected) -> None:
        """Forget the longest idle users where there are too many, a tenth of the places at a time."""
        if len(self._table) > self.settings.max_users:
            live = self._table.live_rows()
            self._evict(self._schedule.surplus(live, self._table.read(live)), "full", found)

    def _evict(self, numbers: Int64s, reason: ForgetReason, found: Collected) -> None:
        rows = self._table.read(numbers)
        known = (rows["score_ms"] > 0) | (rows["stage"] > 0)
        for number, published in zip(numbers.tolist(), known.tolist(), strict=True):
            subject = self._table.key_of(number)
            found.cut_off["labels"] += len(self._labels.waiting(subject))
            found.cut_off["decisions"] += subject in self._desk.waiting
            self._forget(subject, number)
            found.forget(found.forgotten_now(subject, reason, published=published))

    def _check_users(  # what a tick knows
        self,
        due: Int64s,
        now_ms: int,
        scorer: ChurnScorer | None,
        bandit: BanditPolicy | None,
        found: Collected,
    ) -> None:
        rows = self._table.read(due)
        subjects = [self._table.key_of(number) for number in due.tolist()]
        checked = self._checker.check(subjects, rows, now_ms, scorer, bandit)
        self._table.write(due, rows)
        self._table.touch(due)
        at_landmark = (now_ms - self._schedule.phase(due)) % self.settings.landmark_interval_ms == 0
        marks = np.flatnonzero(at_landmark & (rows["muted_until_ms"] <= now_ms))
        marked = [subjects[i] for i in marks.tolist()]
        self._labels.freeze(marked, self._schedule.hash[due[marks]], checked.features[marks], now_ms)
        found.scores += checked.scores
        decided = self._desk.act_on(checked.alerts, rows[checked.alerted], now_ms, bandit)
        found.alerts += decided.alerts
        found.decisions += decided.decisions
        found.withheld.update(checked.withheld)
        self._clock_dirty = True
