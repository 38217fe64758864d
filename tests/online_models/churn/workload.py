"""Event logs with everything that makes streams hard: repeats, disorder, silence, erasure."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from online_models.churn.features import FEATURE_NAMES
from online_models.churn.quarantine import QuarantineSettings
from online_models.churn.quiet_hours import QuietHours
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import DAY_MS, HOUR_MS, MINUTE_MS, AlertSettings, UserSettings
from online_models.events import KIND, EventBatch, hash_id
from online_models.winback.bandit import BanditPolicy
from online_models.winback.context import CONTEXT_NAMES
from online_models.winback.settings import ActionSettings, WinbackSettings

START_MS = 19_676 * DAY_MS
"""On every grid, so that logs hit boundaries exactly."""

SMALL = UserSettings(
    horizon_ms=3 * DAY_MS,
    check_interval_ms=6 * HOUR_MS,
    landmark_interval_ms=DAY_MS,
    hazard_step_ms=DAY_MS,
    allowed_lateness_ms=HOUR_MS,
    dedupe_window_ms=3 * HOUR_MS,
    tick_ms=HOUR_MS,
    recent_items=4,
    bought_items=3,
    pair_distance=3,
    alerts=AlertSettings(threshold=0.5, daily_budget=3, cooldown_ms=DAY_MS),
)

BOUNDED = replace(SMALL, state_ttl_ms=8 * DAY_MS, max_users=3, dedupe_max_ids=9)
"""The same with bounds that every log of the tests runs into."""


CAREFUL = replace(
    BOUNDED,
    alerts=AlertSettings(
        rule="effect",
        threshold=0.5,
        daily_budget=3,
        cooldown_ms=HOUR_MS,
        hysteresis=0.1,
        frequency_cap=2,
        frequency_window_ms=4 * DAY_MS,
        quiet_hours=QuietHours.parse("18:30-05:10", "Europe/Berlin"),
    ),
    winback=WinbackSettings((ActionSettings("coupon", 5.0, 1), ActionSettings("push")), holdout=0.3),
    daily_look=True,
)
"""The same with every restraint on alerts besides, decisions on win-back, and a daily look at everyone."""


WATCHED = replace(BOUNDED, quarantine=QuarantineSettings(hourly_events=2, suspicious_events=1))
"""The same with so little allowed in an hour that every log goes beyond it."""


class Event(NamedTuple):
    """One event as a test writes it."""

    subject: str
    kind: str = "view_item"
    time: int = START_MS
    items: tuple[str, ...] = ()
    session: str = ""
    event_id: str = ""
    value: float = float("nan")
    rating: float = float("nan")


def batch_of(events, first_offset=0):
    """Return events as columns; without an id of its own an event gets one by its place."""
    n = len(events)
    items = [item for event in events for item in event.items]
    counts = np.cumsum([0] + [len(event.items) for event in events])
    ids = [event.event_id or f"id-{first_offset + place}" for place, event in enumerate(events)]
    return EventBatch(
        subject=[event.subject for event in events],
        event_id=np.array([hash_id(text) for text in ids], np.uint64),
        kind=np.array([KIND[event.kind] for event in events], np.int8),
        time=np.array([event.time for event in events], np.int64),
        offset=np.arange(first_offset, first_offset + n),
        session=np.array([hash_id(e.session) if e.session else 0 for e in events], np.uint64),
        value=np.array([event.value for event in events], np.float64),
        rating=np.array([event.rating for event in events], np.float64),
        item_start=counts.astype(np.int64),
        item=items,
        item_hash=np.array([hash_id(item) for item in items], np.uint64),
        category=[f"of {item[0]}" for item in items],
        price=np.full(len(items), 2.5),
        quantity=np.ones(len(items)),
    )


def cut(events, size):
    """Return the log as batches of a size."""
    return [batch_of(events[at : at + size], at) for at in range(0, len(events), size)]


def scorer_of(version=1, threshold=0.4):
    """Return a model with an opinion about everything, of silence above all."""
    weights = np.random.default_rng(version).normal(0, 0.05, len(FEATURE_NAMES))
    weights[FEATURE_NAMES.index("recency")] = 1.0
    return ChurnScorer(
        version=version,
        weights=weights,
        bias=-0.3,
        center=np.zeros(len(FEATURE_NAMES)),
        threshold=threshold,
        ready=True,
    )


def bandit_of(version=1):
    """Return a bandit with an opinion about every action."""
    draw, size = np.random.default_rng(version), len(CONTEXT_NAMES)
    arms = ("none", "coupon", "push")
    return BanditPolicy(
        version,
        {arm: draw.normal(0, 0.3, size) for arm in arms},
        {arm: np.eye(size) / 10 for arm in arms},
    )


_STEPS = (0, 0, 1, 30 * MINUTE_MS, 30 * MINUTE_MS + 1, *(h * HOUR_MS for h in (1, 3, 6, 24, 72, 73, 96, 960)))
_KINDS = (
    "view_item",
    "view_item",
    "add_to_cart",
    "remove_from_cart",
    "purchase",
    "search",
    "review_submitted",
    "intervention_opened",
    "recommendation_shown",
    "refund",
    "user_erased",
)

_names = [f"u:{number}" for number in range(400)]
_WITH_ANN = [name for name in _names if hash_id(name) % 24 == hash_id("u:ann") % 24][:3]
"""Users who are checked at the same ticks as u:ann."""

_steps = st.tuples(
    st.sampled_from(_STEPS),
    st.sampled_from((0, 0, 0, 0, 1, 5 * MINUTE_MS, 30 * MINUTE_MS, HOUR_MS, HOUR_MS + 1, 5 * HOUR_MS)),
    st.sampled_from(("u:ann", "u:ann", "u:ann", *_WITH_ANN, "u:eve", "a:cookie")),
    st.sampled_from(_KINDS),
    st.lists(st.sampled_from(("a1", "a2", "b1", "b2", "c1")), max_size=3, unique=True),
    st.sampled_from(("", "", "s1", "s2")),
    st.integers(0, 11),
)


def _log(steps):
    now, events = START_MS, []
    for place, (step, behind, subject, kind, items, session, repeat) in enumerate(steps):
        now += step
        rated = 1 + place % 5 if kind == "review_submitted" else float("nan")
        value = float(7 * place) if place % 2 else float("nan")
        event = Event(subject, kind, now - behind, tuple(items), session, f"id-{place}", value, float(rated))
        # Every now and then the producer sends something again.
        events.append(events[-repeat] if 0 < repeat <= min(3, len(events)) else event)
    return events


event_logs = st.lists(_steps, min_size=1, max_size=50).map(_log)


def crowd(seed, count=160, users=25):
    """Return a log of many users, checked at all hours, with a few minutes to a few hours between events."""
    draw = np.random.default_rng(seed)
    pauses = draw.choice((MINUTE_MS, 10 * MINUTE_MS, HOUR_MS, 3 * HOUR_MS), count, p=(0.3, 0.4, 0.2, 0.1))
    times = START_MS + np.cumsum(pauses) - draw.choice((0, HOUR_MS // 2), count, p=(0.9, 0.1))
    names, items = draw.choice(_KINDS[:-1], count), draw.choice(("a1", "a2", "b1"), count)
    return [
        Event(f"u:{who}" if who % 5 else f"a:{who}", str(name), int(time), (str(item),))
        for who, name, time, item in zip(draw.integers(0, users, count), names, times, items, strict=True)
    ]
