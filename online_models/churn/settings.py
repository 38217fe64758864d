"""Settings of the users' side: horizon, checks, sessions, memory."""

from dataclasses import dataclass, field
from typing import Final, Literal

from online_models.churn.quarantine import QuarantineSettings
from online_models.churn.quiet_hours import QuietHours
from online_models.errors import InvalidParameterError
from online_models.experiments.settings import ExperimentSettings
from online_models.winback.settings import WinbackSettings

MINUTE_MS: Final = 60_000
HOUR_MS: Final = 60 * MINUTE_MS
DAY_MS: Final = 24 * HOUR_MS


@dataclass(frozen=True, slots=True)
class BgNbdSettings:
    """Parameters of the BG/NBD model behind one feature; sessions count as its transactions.

    The defaults are those of the CDNOW data (Fader, Hardie & Lee 2005). The model learns how far to trust
    the feature, so they need not fit: they set the shape of "quiet for longer than usual".

    Parameters
    ----------
    r, alpha_days
        Shape and scale (days) of the gamma distribution of session rates.
    a, b
        Parameters of the beta distribution of the chance to leave after a session.

    Raises
    ------
    InvalidParameterError
        When a parameter is not positive.
    """

    r: float = 0.243
    alpha_days: float = 30.9
    a: float = 0.793
    b: float = 2.426

    def __post_init__(self) -> None:
        for name in ("r", "alpha_days", "a", "b"):
            value = getattr(self, name)
            if not 0 < value < float("inf"):
                raise InvalidParameterError(f"{name} must be positive, got {value}")


AlertRule = Literal["risk", "value", "effect"]
"""Whom to alert: ``risk``: whose probability reaches the threshold; ``value``: who is worth the cost;
``effect``: on whom a win-back action works; until a bandit has learned that it is ``value``."""


@dataclass(frozen=True, slots=True)
class AlertSettings:
    """When alerts are sent.

    Parameters
    ----------
    threshold
        Fixed probability from which on a user is alerted; None lets the trainer choose it for the budget.
        With other rules than ``risk`` a fixed one must be reached besides; a learned one is not asked for.
    daily_budget
        Alerts a day over all partitions, event time; None for no bound (then `threshold` must be given).
    partitions
        Number of event partitions that share the budget.
    cooldown_ms
        Least time between two alerts of one user.
    reasons
        Reasons an alert carries.
    rule
        Whom to alert.
    hysteresis
        How far the probability must have fallen below the threshold before a user is alerted once more; 0
        asks for nothing.
    cost
        What an alert costs, in the currency of the events.
    margin
        Share of a customer's spending that the shop earns.
    frequency_cap, frequency_window_ms
        A user is alerted at most so often within any window of this length.
    quiet_hours
        Alerts that fall into them are held until they end; None for none.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range.
    """

    threshold: float | None = None
    daily_budget: int | None = 1000
    partitions: int = 1
    cooldown_ms: int = 14 * DAY_MS
    reasons: int = 3
    rule: AlertRule = "risk"
    hysteresis: float = 0.0
    cost: float = 0.0
    margin: float = 1.0
    frequency_cap: int = 3
    frequency_window_ms: int = 90 * DAY_MS
    quiet_hours: QuietHours | None = None

    def __post_init__(self) -> None:
        if self.threshold is None and self.daily_budget is None:
            raise InvalidParameterError("threshold must be given where daily_budget is None, got None")
        if self.threshold is not None and not 0.0 < self.threshold <= 1.0:
            raise InvalidParameterError(f"threshold must be above 0 and at most 1, got {self.threshold}")
        if self.rule != "risk" and self.hysteresis and self.threshold is None:
            raise InvalidParameterError("threshold must be given where hysteresis goes by it, got None")
        for name, low, high in (
            ("daily_budget", 0, None),
            ("partitions", 1, None),
            ("cooldown_ms", 0, None),
            ("reasons", 1, None),
            ("hysteresis", 0, 1),
            ("cost", 0, None),
            ("margin", 0, 1),
            ("frequency_cap", 1, 16),
            ("frequency_window_ms", 0, None),
        ):
            value = getattr(self, name)
            if value is not None and not (low <= value and (high is None or value <= high)):
                wanted = f"at least {low}" if high is None else f"{low} to {high}"
                raise InvalidParameterError(f"{name} must be {wanted}, got {value}")

    @property
    def daily_cap(self) -> int | None:
        """Alerts a day of one partition: its share of the budget, rounded up."""
        return None if self.daily_budget is None else -(-self.daily_budget // self.partitions)


@dataclass(frozen=True, slots=True)
class UserSettings:
    """Settings of `UserStore`; durations in milliseconds of event time.

    Parameters
    ----------
    horizon_ms
        A user churned at t if no activity follows within this time.
    check_interval_ms
        Every active user is scored this often, at a phase given by a hash of the id.
    landmark_interval_ms
        Every so often the features of a check are kept until their label is known.
    hazard_step_ms
        Window of the short label (activity within it), known sooner; at most the horizon.
    allowed_lateness_ms
        An event further behind the partition's clock is rejected.
    dedupe_window_ms
        How long event ids are remembered.
    tick_ms
        Grid of the clock; divides the check interval, which divides the landmark interval.
    session_gap_ms
        A longer silence ends a session that has no id.
    recent_items, bought_items
        How many touches and purchases a user's row remembers.
    own_items
        How many different items, touched in any session, it remembers.
    contexts_per_second
        Touches per second of event time that are passed on for the ranker to learn from; None for all.
    pair_distance
        How many touches apart two items of a session still count as a pair; at most `recent_items`.
    state_ttl_ms
        A user without activity for this long is forgotten; long enough for every label to be known by then.
    max_users
        Beyond so many users of one partition the longest idle ones are forgotten.
    dedupe_max_ids
        Event ids remembered at most; beyond, the oldest are dropped before their window has passed.
    bgnbd
        Parameters of one feature.
    alerts
        When to alert.
    quarantine
        When a user's events are counted, but not learned from.
    winback
        What to do about alerted users.
    experiments
        What is tried on whom with lists.
    daily_look
        Whether every user's profile and the retention board are made at the end of each day.
    risky
        Probability of leaving from which on a profile says that a user is at risk.

    Raises
    ------
    InvalidParameterError
        When a parameter is outside its range; the message names it and the value it got.
    """

    horizon_ms: int = 28 * DAY_MS
    check_interval_ms: int = DAY_MS
    landmark_interval_ms: int = 7 * DAY_MS
    hazard_step_ms: int = 7 * DAY_MS
    allowed_lateness_ms: int = HOUR_MS
    dedupe_window_ms: int = DAY_MS
    tick_ms: int = HOUR_MS
    session_gap_ms: int = 30 * MINUTE_MS
    recent_items: int = 10
    bought_items: int = 8
    own_items: int = 96
    contexts_per_second: float | None = None
    pair_distance: int = 10
    state_ttl_ms: int = 400 * DAY_MS
    max_users: int = 1_000_000
    dedupe_max_ids: int = 20_000_000
    bgnbd: BgNbdSettings = field(default_factory=BgNbdSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    quarantine: QuarantineSettings = field(default_factory=QuarantineSettings)
    winback: WinbackSettings = field(default_factory=WinbackSettings)
    experiments: ExperimentSettings = field(default_factory=ExperimentSettings)
    daily_look: bool = False
    risky: float = 0.5

    def __post_init__(self) -> None:
        for name in ("horizon_ms", "check_interval_ms", "landmark_interval_ms", "hazard_step_ms", "tick_ms"):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("max_users", "dedupe_max_ids"):
            _require(getattr(self, name) >= 1, name, "at least 1", getattr(self, name))
        for name in ("allowed_lateness_ms", "session_gap_ms"):
            _require(getattr(self, name) >= 0, name, "at least 0", getattr(self, name))
        for name in ("recent_items", "bought_items", "own_items", "pair_distance"):
            _require(1 <= getattr(self, name) <= 100, name, "1 to 100", getattr(self, name))
        _require(
            self.dedupe_window_ms >= self.allowed_lateness_ms,
            "dedupe_window_ms",
            f"at least allowed_lateness_ms ({self.allowed_lateness_ms})",
            self.dedupe_window_ms,
        )
        _require(
            not self.daily_look or DAY_MS % self.tick_ms == 0,
            "tick_ms",
            "a part of a day where there is a daily look",
            self.tick_ms,
        )
        _require(
            self.check_interval_ms % self.tick_ms == 0,
            "check_interval_ms",
            f"a multiple of tick_ms ({self.tick_ms})",
            self.check_interval_ms,
        )
        _require(
            self.landmark_interval_ms % self.check_interval_ms == 0,
            "landmark_interval_ms",
            f"a multiple of check_interval_ms ({self.check_interval_ms})",
            self.landmark_interval_ms,
        )
        _require(
            self.hazard_step_ms <= self.horizon_ms,
            "hazard_step_ms",
            f"at most horizon_ms ({self.horizon_ms})",
            self.hazard_step_ms,
        )
        _require(
            self.pair_distance <= self.recent_items,
            "pair_distance",
            f"at most recent_items ({self.recent_items})",
            self.pair_distance,
        )
        # The last landmark lies within the horizon of the last activity, its label a ring of landmarks later.
        settled_ms = (
            self.horizon_ms + self.allowed_lateness_ms + self.landmark_slots * self.landmark_interval_ms
        )
        _require(
            self.state_ttl_ms > settled_ms,
            "state_ttl_ms",
            f"above {settled_ms}, when the last label of a silent user is known",
            self.state_ttl_ms,
        )

    @property
    def landmark_slots(self) -> int:
        """Landmarks of one user that can wait for their label at the same time."""
        waiting_ms = self.horizon_ms + self.allowed_lateness_ms
        on_grid_ms = -(-waiting_ms // self.tick_ms) * self.tick_ms
        return -(-on_grid_ms // self.landmark_interval_ms)


def _require(holds: bool, name: str, wanted: str, got: int) -> None:  # noqa: FBT001  # a checked condition
    if not holds:
        raise InvalidParameterError(f"{name} must be {wanted}, got {got}")
