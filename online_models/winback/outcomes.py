"""Decisions, what came of them, and outcomes as columns on their way to the trainer."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from online_models import snapshots
from online_models.errors import CorruptStateError
from online_models.events import Floats, Int64s
from online_models.layout import carry
from online_models.winback.context import CONTEXT_NAMES

_KIND = "outcomes"
_VERSION = 1
_COLUMNS = ("propensity", "holdout", "returned", "spend", "cost", "decided_ms", "matured_ms", "context")


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done about one alerted user.

    Parameters
    ----------
    subject
        The user, with the prefix ``u:``.
    at_ms
        When it was decided, epoch milliseconds.
    action
        Name of the action; ``none`` for nothing.
    holdout
        Whether the user is in the holdout, and so was never to be treated.
    propensity
        Probability with which the action was chosen; 1 in the holdout.
    cost
        What the action costs.
    context
        What it was decided by, in the order of `CONTEXT_NAMES`.
    version
        Snapshot of the bandit; 0 before the first.
    """

    subject: str
    at_ms: int
    action: str
    holdout: bool
    propensity: float
    cost: float
    context: tuple[float, ...]
    version: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a decision within the horizon; times are epoch milliseconds, 0 for never.

    Parameters
    ----------
    decision
        The decision.
    matured_ms
        When this was final.
    back_ms
        First activity, other than opening or redeeming what was sent.
    opened_ms, redeemed_ms
        When it was opened and redeemed.
    spend
        Spent by purchases.
    """

    decision: Decision
    matured_ms: int
    back_ms: int
    opened_ms: int
    redeemed_ms: int
    spend: float


@dataclass(frozen=True, slots=True)
class OutcomeBatch:
    """Outcomes in the order in which they are to be learned, as columns.

    Parameters
    ----------
    action
        n names.
    propensity, holdout, cost, decided_ms
        (n,) as in `Decision`; `holdout` and `returned` as 0 or 1.
    returned, spend, matured_ms
        (n,) whether the user came back, what was spent, and when this was final.
    context
        (n, C) columns as in `CONTEXT_NAMES`.
    """

    action: Sequence[str]
    propensity: Floats
    holdout: Int64s
    returned: Int64s
    spend: Floats
    cost: Floats
    decided_ms: Int64s
    matured_ms: Int64s
    context: Floats

    def __len__(self) -> int:
        """Return the number of outcomes."""
        return len(self.action)

    @classmethod
    def of(cls, outcomes: Sequence[Outcome]) -> Self:
        """Return outcomes as columns."""
        decisions = [outcome.decision for outcome in outcomes]
        return cls(
            action=[decision.action for decision in decisions],
            propensity=np.array([decision.propensity for decision in decisions], np.float64),
            holdout=np.array([decision.holdout for decision in decisions], np.int64),
            returned=np.array([outcome.back_ms > 0 for outcome in outcomes], np.int64),
            spend=np.array([outcome.spend for outcome in outcomes], np.float64),
            cost=np.array([decision.cost for decision in decisions], np.float64),
            decided_ms=np.array([decision.at_ms for decision in decisions], np.int64),
            matured_ms=np.array([outcome.matured_ms for outcome in outcomes], np.int64),
            context=np.array([d.context for d in decisions], np.float64).reshape(-1, len(CONTEXT_NAMES)),
        )

    def pack(self) -> bytes:
        """Return the outcomes as bytes."""
        columns = {name: getattr(self, name) for name in _COLUMNS}
        content = {"action": list(self.action), "names": list(CONTEXT_NAMES), **columns}
        return snapshots.pack(_KIND, _VERSION, content)

    @classmethod
    def packed(cls, data: bytes) -> bool:
        """Return whether bytes are what `pack` wrote: outcomes and examples share one log."""
        return snapshots.kind_of(data) == _KIND

    @classmethod
    def unpack(cls, data: bytes) -> Self:
        """Return the outcomes that `pack` wrote, the context by its names: an entry that it lacked is 0.

        Raises
        ------
        CorruptStateError
            When the bytes are something else.
        """
        content = snapshots.unpack(_KIND, _VERSION, data)
        with snapshots.reading(_KIND):
            names = tuple(content.pop("names"))
            batch = cls(**content)
            if batch.context.shape != (len(batch), len(names)):
                raise CorruptStateError(f"outcomes have contexts of shape {batch.context.shape}")
            if any(getattr(batch, name).shape != (len(batch),) for name in _COLUMNS[:-1]):
                raise CorruptStateError("outcomes have columns of several lengths")
            context = carry(batch.context, [names], [CONTEXT_NAMES], [len(CONTEXT_NAMES)])
            return replace(batch, context=context)
