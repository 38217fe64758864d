"""Decisions that wait for their outcome, one per user at most: so no return answers two of them."""

from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np

from online_models.churn.rows import IS_ACTIVITY
from online_models.clock import NEVER
from online_models.errors import CorruptStateError
from online_models.events import EVENT_NAMES, KIND, Floats, Int8s, Int64s, hash_id
from online_models.layout import Layout, Schema
from online_models.table import Table
from online_models.winback.context import CONTEXT_NAMES
from online_models.winback.outcomes import Decision, Outcome

ROW_PREFIX: Final = b"\0decisions:"
NAME_BYTES: Final = 32
_VERSION: Final = 1
_OPENED, _REDEEMED = KIND["intervention_opened"], KIND["intervention_redeemed"]
_PURCHASE: Final = KIND["purchase"]
# Opening what was sent is no return: nobody in the holdout could do it.
_IS_RETURN: Final = IS_ACTIVITY & ~np.isin(np.arange(len(EVENT_NAMES)), [_OPENED, _REDEEMED])


def decision_layout() -> Layout:
    """Return the layout of an open decision; the action goes by its name, whatever is configured later."""
    fields: list[tuple[Any, ...]] = [
        ("decided_ms", "<i8"),
        ("action", "u1", (NAME_BYTES,)),
        ("holdout", "?"),
        ("propensity", "<f8"),
        ("cost", "<f8"),
        ("version", "<i8"),
        ("back_ms", "<i8"),
        ("opened_ms", "<i8"),
        ("redeemed_ms", "<i8"),
        ("spend", "<f8"),
        ("context", "<f4", (len(CONTEXT_NAMES),)),
    ]
    return Layout(Schema(np.dtype(fields), _VERSION, {"context": (CONTEXT_NAMES,)}))


class OpenDecisions:
    """The decisions of one partition whose horizon has not passed yet.

    Parameters
    ----------
    horizon_ms
        An outcome counts what happens within this time of the decision.
    allowed_lateness_ms
        How much later it is final.
    """

    def __init__(self, horizon_ms: int, allowed_lateness_ms: int) -> None:
        self._horizon_ms, self._after_ms = horizon_ms, horizon_ms + allowed_lateness_ms
        self._table = Table(decision_layout(), capacity=64)

    def __len__(self) -> int:
        """Return the number of open decisions."""
        return len(self._table)

    def __contains__(self, subject: str) -> bool:
        """Return whether a user has an open decision."""
        return subject in self._table

    @property
    def nbytes(self) -> int:
        """Bytes of the columns."""
        return self._table.nbytes

    def open(self, decision: Decision) -> None:
        """Keep the decision until its outcome is known."""
        number = int(self._table.intern([decision.subject])[0][0])
        row = self._table.rows[number : number + 1]
        row["decided_ms"], row["holdout"], row["version"] = (
            decision.at_ms,
            decision.holdout,
            decision.version,
        )
        row["propensity"], row["cost"], row["context"] = (
            decision.propensity,
            decision.cost,
            decision.context,
        )
        row["action"][0] = np.frombuffer(decision.action.encode().ljust(NAME_BYTES, b"\0"), np.uint8)

    def note(  # columns
        self, subjects: Sequence[str], group: Int64s, kind: Int8s, time: Int64s, spend: Floats
    ) -> None:
        """Let events answer the decisions before them; late ones included.

        Parameters
        ----------
        subjects
            g users.
        group, kind, time, spend
            (n,) user number, kind, time and worth of events in log order; `spend` is read at purchases only.
        """
        if not len(self._table):
            return
        numbers = self._table.find(subjects)[group]
        decided = self._table.rows["decided_ms"][numbers]
        counts = (numbers >= 0) & (time > decided) & (time <= decided + self._horizon_ms)
        if not counts.any():
            return
        rows = self._table.rows
        for name, kinds in (
            ("back_ms", _IS_RETURN[kind]),
            ("opened_ms", kind == _OPENED),
            ("redeemed_ms", kind == _REDEEMED),
        ):
            self._earliest(name, numbers[counts & kinds], time[counts & kinds])
        bought = counts & (kind == _PURCHASE)
        total = rows["spend"].copy()
        np.add.at(total, numbers[bought], spend[bought])
        rows["spend"] = total
        self._table.touch(np.unique(numbers[counts]))

    def mature(self, now_ms: int) -> list[Outcome]:
        """Return the outcomes that are final, ordered by the time of the decision and the user's hash."""
        live = self._table.live_rows()
        due = live[self._table.rows["decided_ms"][live] + self._after_ms <= now_ms]
        found = [self._outcome(number) for number in due.tolist()]
        for outcome in found:
            self._table.remove(outcome.decision.subject)
        return sorted(found, key=lambda one: (one.decision.at_ms, hash_id(one.decision.subject)))

    def next_due(self) -> int:
        """Return when the next outcome is final, `NEVER` without one."""
        decided = self._table.rows["decided_ms"][self._table.live_rows()]
        return int(decided.min() + self._after_ms) if decided.size else NEVER

    def remove(self, subject: str) -> None:
        """Forget a user's decision."""
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
            raise CorruptStateError(f"decisions: {error}", ROW_PREFIX + (error.key or b"")) from error

    def _earliest(self, name: str, numbers: Int64s, time: Int64s) -> None:
        earliest = np.where(self._table.rows[name] > 0, self._table.rows[name], NEVER)
        np.minimum.at(earliest, numbers, time)
        self._table.rows[name] = np.where(earliest == NEVER, 0, earliest)

    def _outcome(self, number: int) -> Outcome:
        row = self._table.rows[number]
        decision = Decision(
            subject=self._table.key_of(number),
            at_ms=int(row["decided_ms"]),
            action=row["action"].tobytes().rstrip(b"\0").decode(),
            holdout=bool(row["holdout"]),
            propensity=float(row["propensity"]),
            cost=float(row["cost"]),
            context=tuple(row["context"].astype(np.float64).tolist()),
            version=int(row["version"]),
        )
        return Outcome(
            decision,
            matured_ms=decision.at_ms + self._after_ms,
            back_ms=int(row["back_ms"]),
            opened_ms=int(row["opened_ms"]),
            redeemed_ms=int(row["redeemed_ms"]),
            spend=float(row["spend"]),
        )
