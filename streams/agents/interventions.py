"""Win-back decisions, their outcomes and the bandit as documents of `streams.schemas`."""

from collections.abc import Mapping, Sequence

from online_models.winback.bandit import SNAPSHOT_VERSION, BanditPolicy
from online_models.winback.context import CONTEXT_NAMES
from online_models.winback.outcomes import Decision, Outcome
from streams.encode import check_id, sealed
from streams.schemas import Intervention, InterventionOutcome, ModelSnapshot, Origin, RecommendedItem


def decisions(
    found: Sequence[Decision], lists: Mapping[str, list[RecommendedItem]], origin: Origin, horizon_ms: int
) -> list[Intervention]:
    """Return win-back decisions, in the order they were made, with what to recommend to whom."""
    return [
        _intervention(decision, origin, horizon_ms, lists.get(decision.subject, []), None)
        for decision in found
    ]


def outcomes(found: Sequence[Outcome], origin: Origin, horizon_ms: int) -> list[Intervention]:
    """Return decisions whose outcome is final, with it."""
    return [
        _intervention(
            one.decision,
            origin,
            horizon_ms,
            [],
            InterventionOutcome(
                event_time=one.matured_ms,
                returned=one.back_ms > 0,
                spend=round(one.spend, 2),
                returned_at=one.back_ms or None,
                opened=one.opened_ms > 0,
                redeemed=one.redeemed_ms > 0,
            ),
        )
        for one in found
    ]


def _intervention(
    decision: Decision,
    origin: Origin,
    horizon_ms: int,
    items: list[RecommendedItem],
    outcome: InterventionOutcome | None,
) -> Intervention:
    return Intervention(
        id=check_id(decision.subject, decision.at_ms),
        subject=decision.subject,
        user_id=decision.subject[2:],
        event_time=decision.at_ms,
        model_version=winback_version(decision.version),
        source=origin,
        action=decision.action,
        propensity=decision.propensity,
        holdout=decision.holdout,
        cost=decision.cost,
        horizon_ms=horizon_ms,
        context=dict(zip(CONTEXT_NAMES, decision.context, strict=True)),
        items=items,
        outcome=outcome,
    )


def winback_version(version: int) -> str:
    """Return the name of a bandit; 0 believes nothing.

    >>> winback_version(12)
    'winback-12'
    """
    return f"winback-{version}"


def winback_snapshot(policy: BanditPolicy, latest_ms: int) -> ModelSnapshot:
    """Return a bandit as it is broadcast, and the time of the latest outcome it has learned."""
    return sealed(
        ModelSnapshot(
            model="winback",
            model_version=winback_version(policy.version),
            event_time=latest_ms,
            examples=int(policy.card.get("outcomes", 0)),
            format=SNAPSHOT_VERSION,
            state={"policy": policy.to_snapshot()},
        )
    )
