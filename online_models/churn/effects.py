"""What the users' side decides: values for an agent to perform, and views for lookups."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from online_models.churn.alerts import ChurnAlert, WithheldReason
from online_models.churn.labels import ExampleBatch
from online_models.churn.quarantine import MutedReason
from online_models.events import Int64s, Reject
from online_models.items.histories import TouchContexts
from online_models.items.pairs import PairBatch
from online_models.value.daily import Profile
from online_models.value.retention import RetentionBoard
from online_models.winback.outcomes import Decision, Outcome


class ChurnScore(NamedTuple):
    """The score of one user at one check.

    Parameters
    ----------
    subject
        The user, with the prefix ``u:``.
    at_ms
        Time of the check, epoch milliseconds.
    probability
        Probability of no activity within the horizon; before the first trained model a recency score.
    last_ms
        Time of the user's last activity.
    model_version
        Snapshot behind the probability; 0 for the recency score.
    """

    subject: str
    at_ms: int
    probability: float
    last_ms: int
    model_version: int


ForgetReason = Literal["erased", "idle", "full"]
"""Why a user is forgotten: on request, after a long silence, or to make room for others."""


class Forgotten(NamedTuple):
    """A user of whom nothing is left in the store.

    Parameters
    ----------
    subject
        The user, with its prefix.
    reason
        Why.
    scores_before
        How many scores of the same effects came before: they are not to be published any more.
    published
        Whether a score of the user may have been published.
    event
        Index of the erasing event in its batch; -1 without one.
    profiles_before
        How many profiles of the same effects came before: they are not to be published any more.
    """

    subject: str
    reason: ForgetReason
    scores_before: int
    published: bool = True
    event: int = -1
    profiles_before: int = 0


@dataclass(frozen=True, slots=True)
class UserEffects:
    """What came of a batch of events or of ticks.

    Parameters
    ----------
    accepted, duplicates
        Indices of the batch's events that were applied, and of those whose id was known; ascending.
    rejects
        Pairs of index and reason.
    pairs
        Batches of touches and pairs, in log order.
    examples
        Examples whose labels became final.
    scores, alerts
        Users checked, and those to alert, in the order of the checks.
    active
        Pairs of user and offset of the last event that touched an item, in the order of these offsets.
    forgotten
        Users to be forgotten everywhere, in log order.
    contexts
        Sampled touches with what came before them, numbered through all of `pairs`; None without one.
    withheld
        How many alerts were not sent, by reason.
    cut_off
        How many labels and decisions were still open when their user was evicted: what would have come of
        them is unknown, so nothing is learned from them.
    muted
        How many accepted events count for their users only and are not learned from, by reason.
    decisions, outcomes
        What was decided on win-back, and what came of earlier decisions, in the order of the ticks.
    profiles, boards
        Profiles that have changed, and the retention board, of the days that ended.
    """

    accepted: Int64s
    duplicates: Int64s
    rejects: list[tuple[int, Reject]]
    pairs: list[PairBatch]
    examples: ExampleBatch
    scores: list[ChurnScore]
    alerts: list[ChurnAlert]
    active: list[tuple[str, int]]
    forgotten: list[Forgotten]
    withheld: Mapping[WithheldReason, int]
    cut_off: Mapping[str, int]
    muted: Mapping[MutedReason, int]
    decisions: list[Decision]
    outcomes: list[Outcome]
    profiles: list[Profile]
    boards: list[RetentionBoard]
    contexts: TouchContexts | None = None


@dataclass(frozen=True, slots=True)
class UserView:
    """What is known of one user.

    Parameters
    ----------
    subject
        The user, with its prefix.
    event_counts
        Exact lifetime counts of accepted events by name, zeros left out.
    first_ms, last_ms
        First and latest activity, epoch milliseconds; 0 where there was none.
    sessions
        Sessions so far.
    session_start_ms, session_touches
        Start of the latest session, and touches in it.
    recent, bought
        Hashes of the last touched and the last bought items, newest first.
    spend
        Spent in all, at purchases.
    cart_items
        Added to the cart since the last purchase, less what was taken out again.
    score, score_ms, score_version
        Last score, its time and model version; time 0 where never scored.
    alert_ms
        Time of the last alert, 0 where there was none.
    pending_labels
        Times of the landmarks whose label is not final yet.
    """

    subject: str
    event_counts: dict[str, int]
    first_ms: int
    last_ms: int
    sessions: int
    session_start_ms: int
    session_touches: int
    recent: list[int]
    bought: list[int]
    spend: float
    cart_items: int
    score: float
    score_ms: int
    score_version: int
    alert_ms: int
    pending_labels: list[int]


class Collected:
    """Effects while they are being gathered, segment by segment."""

    def __init__(self) -> None:
        self.accepted: list[Int64s] = []
        self.duplicates: list[Int64s] = []
        self.rejects: list[tuple[int, Reject]] = []
        self.pairs: list[PairBatch] = []
        self.examples: list[ExampleBatch] = []
        self.scores: list[ChurnScore] = []
        self.alerts: list[ChurnAlert] = []
        self.active: dict[str, int] = {}
        self.forgotten: list[Forgotten] = []
        self.muted: Counter[MutedReason] = Counter()
        self._touches = 0
        self._contexts: list[tuple[int, TouchContexts]] = []
        self.withheld: Counter[WithheldReason] = Counter()
        self.cut_off: Counter[str] = Counter()
        self.decisions: list[Decision] = []
        self.outcomes: list[Outcome] = []
        self.profiles: list[Profile] = []
        self.boards: list[RetentionBoard] = []

    def note_touches(self, pairs: PairBatch, contexts: TouchContexts | None) -> None:
        """Note touches, and the sampled ones with their contexts."""
        self.pairs.append(pairs)
        if contexts is not None and len(contexts):
            self._contexts.append((self._touches, contexts))
        self._touches += pairs.touch_item.size

    def note_active(self, subject: str, offset: int) -> None:
        """Note that a user touched items in the event at an offset."""
        self.active.pop(subject, None)
        self.active[subject] = offset

    def forgotten_now(
        self, subject: str, reason: ForgetReason, *, published: bool = True, event: int = -1
    ) -> Forgotten:
        """Return that a user is forgotten after everything gathered so far."""
        return Forgotten(subject, reason, len(self.scores), published, event, len(self.profiles))

    def forget(self, forgotten: Forgotten) -> None:
        """Note that a user is forgotten; what was to be told to the user is not told any more."""
        self.active.pop(forgotten.subject, None)
        self.forgotten.append(forgotten)

    def done(self) -> UserEffects:
        """Return the effects."""
        none = np.zeros(0, np.int64)
        return UserEffects(
            accepted=np.concatenate([none, *self.accepted]),
            duplicates=np.concatenate([none, *self.duplicates]),
            rejects=self.rejects,
            pairs=self.pairs,
            examples=ExampleBatch.concat([batch for batch in self.examples if len(batch)]),
            scores=self.scores,
            alerts=self.alerts,
            active=list(self.active.items()),
            forgotten=self.forgotten,
            muted=self.muted,
            contexts=TouchContexts.concat(self._contexts),
            withheld=self.withheld,
            cut_off=self.cut_off,
            decisions=self.decisions,
            outcomes=self.outcomes,
            profiles=self.profiles,
            boards=self.boards,
        )
