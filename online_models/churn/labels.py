"""Frozen features that wait for their label, and the examples they become.

The label of a landmark at t is known at t + H for either class, and is released at t + H + allowed lateness:
releasing returns at once and churns late would teach the model a false base rate. The short hazard label
(activity within the next step) is released after its own, shorter time.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Self

import numpy as np

from online_models import format_1, snapshots
from online_models.churn.features import FEATURE_NAMES, FEATURES_VERSION, Features32
from online_models.churn.landmark_rows import landmark_layout, slot_of
from online_models.churn.settings import UserSettings
from online_models.clock import NEVER
from online_models.errors import CorruptStateError
from online_models.events import Int8s, Int64s, UInt64s
from online_models.layout import Rows, carry
from online_models.packed_table import PackedTable

CHURN: Final = 0
HAZARD: Final = 1
EXAMPLE_KINDS: Final = ("churn", "hazard")
"""Label 1 of a churn example: no activity within the horizon; of a hazard one: activity within the step."""

ROW_PREFIX: Final = b"\0landmarks:"

_AT_ONCE: Final = 4_096
"""Users whose rows are looked at together: all at once would take what keeping them packed saves."""


@dataclass(frozen=True, slots=True)
class ExampleBatch:
    """Labelled examples in the order in which they are to be learned, as columns.

    Parameters
    ----------
    kind
        (n,) `CHURN` or `HAZARD`.
    features
        (n, F) frozen features, columns as in `FEATURE_NAMES`.
    label
        (n,) 0 or 1.
    landmark_ms, matured_ms
        (n,) when the features were frozen, and when the label became final; epoch milliseconds.
    subject
        (n,) hash of the user.
    """

    kind: Int8s
    features: Features32
    label: Int8s
    landmark_ms: Int64s
    matured_ms: Int64s
    subject: UInt64s

    def __len__(self) -> int:
        """Return the number of examples."""
        return self.kind.size

    def take(self, rows: slice) -> Self:
        """Return a stretch of the examples."""
        return type(self)(
            kind=self.kind[rows],
            features=self.features[rows],
            label=self.label[rows],
            landmark_ms=self.landmark_ms[rows],
            matured_ms=self.matured_ms[rows],
            subject=self.subject[rows],
        )

    def pack(self) -> bytes:
        """Return the examples as bytes."""
        return snapshots.pack(
            "examples",
            FEATURES_VERSION,
            {
                "kind": self.kind,
                "features": self.features,
                "label": self.label,
                "landmark_ms": self.landmark_ms,
                "matured_ms": self.matured_ms,
                "subject": self.subject,
                "names": FEATURE_NAMES,
            },
        )

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the examples that `pack` wrote, the features by their names: one that it lacked is 0.

        Raises
        ------
        CorruptStateError
            When the bytes are something else, or of another version.
        """
        content = snapshots.unpack("examples", FEATURES_VERSION, data)
        with snapshots.reading("examples"):
            names = tuple(content.pop("names", format_1.FEATURES))
            batch = cls(**content)
            if batch.features.shape != (len(batch), len(names)):
                raise CorruptStateError(f"examples have features of shape {batch.features.shape}")
            columns = (batch.label, batch.landmark_ms, batch.matured_ms, batch.subject)
            if any(column.shape != batch.kind.shape for column in columns):
                raise CorruptStateError("examples have columns of several lengths")
            axes, wanted = [names], [FEATURE_NAMES]
            return replace(batch, features=carry(batch.features, axes, wanted, [len(FEATURE_NAMES)]))

    @classmethod
    def concat(cls, batches: Sequence[Self]) -> Self:
        """Return several batches as one, in order."""
        if len(batches) == 1:
            return batches[0]
        if not batches:
            none = np.zeros(0, np.int64)
            return cls(
                kind=none.astype(np.int8),
                features=np.zeros((0, len(FEATURE_NAMES)), np.float32),
                label=none.astype(np.int8),
                landmark_ms=none,
                matured_ms=none,
                subject=none.astype(np.uint64),
            )
        return cls(
            *(
                np.concatenate([getattr(batch, name) for batch in batches])
                for name in ("kind", "features", "label", "landmark_ms", "matured_ms", "subject")
            )
        )


class PendingLabels:
    """The landmarks of every user that wait for their label: a ring of slots per user, freed when labelled.

    Parameters
    ----------
    settings
        Horizon, step, lateness and the distance of landmarks.
    """

    def __init__(self, settings: UserSettings) -> None:
        self._settings = settings
        self._table = PackedTable(landmark_layout(settings))
        capacity = self._table.capacity
        self._due: Int64s = np.full(capacity, NEVER)
        self._hash: UInt64s = np.zeros(capacity, np.uint64)
        # Activity from this time on tells nothing more: every landmark is answered by earlier one.
        self._answered: Int64s = np.full(capacity, NEVER)

    def __len__(self) -> int:
        """Return the number of users with landmarks."""
        return len(self._table)

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return self._table.nbytes + self._due.nbytes + self._hash.nbytes + self._answered.nbytes

    def freeze(self, subjects: Sequence[str], hashes: UInt64s, features: Features32, now_ms: int) -> None:
        """Keep the features of n different users until their label is known.

        Parameters
        ----------
        subjects, hashes
            n users, (n,) their hashes.
        features
            (n, F) their features.
        now_ms
            Time of the landmark; one per user and landmark interval.
        """
        if not len(subjects):
            return
        rows, _ = self._table.intern(subjects)
        self._make_room()
        state = self._table.read(rows)
        slot = slot_of(now_ms, self._settings.landmark_slots, self._settings.landmark_interval_ms)
        state["landmark_ms"][:, slot] = now_ms
        state["back_ms"][:, slot] = 0
        state["hazard_done"][:, slot] = False
        state["features"][:, slot] = features
        self._hash[rows] = hashes
        self._write(rows, state)
        self._table.touch(rows)

    def note_activity(self, subjects: Iterable[str], group: Int64s, time: Int64s) -> None:
        """Let activity answer the landmarks before it; late activity included.

        Parameters
        ----------
        subjects
            g users.
        group, time
            (n,) user number and time of each activity.
        """
        rows = self._table.find(subjects)[group]
        telling = (rows >= 0) & (time < self._answered[rows])
        if not telling.any():
            return
        rows, time = rows[telling], time[telling]
        unique, place = np.unique(rows, return_inverse=True)
        state = self._table.read(unique)
        landmark, known = state["landmark_ms"], state["back_ms"]
        back = np.where(known == 0, NEVER, known)
        answers = (landmark[place] > 0) & (time[:, None] > landmark[place])
        np.minimum.at(back, place, np.where(answers, time[:, None], NEVER))
        back = np.where(back == NEVER, 0, back)
        changed = (back != known).any(axis=1)
        if changed.any():
            state["back_ms"] = back
            self._write(unique[changed], state[changed])
            self._table.touch(unique[changed])

    def matures(self, hashes: UInt64s, now_ms: int) -> bool:
        """Return whether a label of one of some users becomes final by a time."""
        due = np.flatnonzero(self._due[: self._table.size] <= now_ms)
        return due.size > 0 and bool(np.isin(self._hash[due], hashes).any())

    def mature(self, now_ms: int) -> ExampleBatch:
        """Return the examples whose labels are final, ordered by that time, kind and user."""
        rows = np.flatnonzero(self._due[: self._table.size] <= now_ms)
        if not rows.size:
            return ExampleBatch.concat([])
        settings = self._settings
        state = self._table.read(rows)
        hazards = self._release(rows, state, HAZARD, settings.hazard_step_ms, now_ms)
        churns = self._release(rows, state, CHURN, settings.horizon_ms, now_ms)
        self._table.touch(rows)
        done = (state["landmark_ms"] == 0).all(axis=1)
        self._write(rows[~done], state[~done])
        for row in rows[done].tolist():
            self.remove(self._table.key_of(row))
        batch = ExampleBatch.concat([hazards, churns])
        order = np.lexsort((batch.subject, batch.kind, batch.landmark_ms, batch.matured_ms))
        return ExampleBatch(
            batch.kind[order],
            batch.features[order],
            batch.label[order],
            batch.landmark_ms[order],
            batch.matured_ms[order],
            batch.subject[order],
        )

    def next_due(self) -> int:
        """Return when the next label becomes final, `NEVER` without one."""
        return int(self._due[: self._table.size].min(initial=NEVER))

    def waiting(self, subject: str) -> list[int]:
        """Return the times of a user's landmarks that still wait, ascending."""
        row = self._table.get(subject)
        if row < 0:
            return []
        held = self._table.read(np.array([row]))["landmark_ms"][0]
        return sorted(value for value in held.tolist() if value)

    def remove(self, subject: str) -> None:
        """Forget a user's landmarks."""
        row = self._table.get(subject)
        if row >= 0:
            self._due[row] = self._answered[row] = NEVER
            self._table.remove(subject)

    def dirty_rows(self) -> list[tuple[bytes, bytes | None]]:
        """Return the changed rows, keys behind `ROW_PREFIX`."""
        return [(ROW_PREFIX + key, value) for key, value in self._table.dirty_rows()]

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load rows as `dirty_rows` returns them.

        Raises
        ------
        CorruptStateError
            When a row cannot be loaded; it names its key.
        """
        start = len(ROW_PREFIX)
        try:
            self._table.restore((key[start:], value) for key, value in rows)
        except CorruptStateError as error:
            raise CorruptStateError(f"landmarks: {error}", ROW_PREFIX + (error.key or b"")) from error

    def restored(self, hash_of: Callable[[str], int]) -> None:
        """Finish loading.

        Parameters
        ----------
        hash_of
            Maps a subject to its hash.
        """
        self._make_room()
        rows = self._table.live_rows()
        self._due[:] = self._answered[:] = NEVER
        for some in np.split(rows, range(_AT_ONCE, rows.size, _AT_ONCE)):
            self._schedule(some, self._table.read(some))
        for row in rows.tolist():
            self._hash[row] = hash_of(self._table.key_of(row))

    def _release(self, rows: Int64s, state: Rows, kind: int, after_ms: int, now_ms: int) -> ExampleBatch:
        landmark = state["landmark_ms"]
        ready = (landmark > 0) & (landmark + after_ms + self._settings.allowed_lateness_ms <= now_ms)
        if kind == HAZARD:
            ready &= ~state["hazard_done"]
        at = np.nonzero(ready)
        found = rows[at[0]]
        landmark_ms = state["landmark_ms"][at]
        back_ms = state["back_ms"][at]
        active = (back_ms > 0) & (back_ms <= landmark_ms + after_ms)
        batch = ExampleBatch(
            kind=np.full(found.size, kind, np.int8),
            features=state["features"][at],
            label=(active if kind == HAZARD else ~active).astype(np.int8),
            landmark_ms=landmark_ms,
            matured_ms=landmark_ms + after_ms + self._settings.allowed_lateness_ms,
            subject=self._hash[found],
        )
        if kind == HAZARD:
            state["hazard_done"][at] = True
        else:
            for name in ("landmark_ms", "back_ms", "hazard_done", "features"):
                state[name][at] = 0
        return batch

    def _write(self, rows: Int64s, state: Rows) -> None:
        self._table.write(rows, state)
        self._schedule(rows, state)

    def _schedule(self, rows: Int64s, state: Rows) -> None:
        landmark, back = state["landmark_ms"], state["back_ms"]
        waits = (landmark > 0) & (back == 0)
        self._answered[rows] = np.where(waits, NEVER, back).max(axis=1)
        after = np.where(state["hazard_done"], self._settings.horizon_ms, self._settings.hazard_step_ms)
        due = np.where(landmark > 0, landmark + after + self._settings.allowed_lateness_ms, NEVER)
        self._due[rows] = due.min(axis=1)

    def _make_room(self) -> None:
        capacity = self._table.capacity
        if capacity > self._due.size:
            more = capacity - self._due.size
            self._due = np.concatenate((self._due, np.full(more, NEVER)))
            self._answered = np.concatenate((self._answered, np.full(more, NEVER)))
            self._hash = np.concatenate((self._hash, np.zeros(more, np.uint64)))
