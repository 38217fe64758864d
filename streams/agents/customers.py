"""Customers' profiles and retention boards as documents."""

from collections.abc import Sequence

from online_models.value.daily import Profile
from online_models.value.retention import RetentionBoard as Board
from streams.encode import check_id
from streams.schemas import CustomerProfile, Origin, RetentionBoard, RetentionCohort


def profiles(found: Sequence[Profile], origin: Origin) -> list[CustomerProfile]:
    """Return the last profile of each customer: the topic keeps no other."""
    last = {profile.subject: profile for profile in found}
    return [
        CustomerProfile(
            id=check_id(profile.subject, profile.at_ms),
            subject=profile.subject,
            user_id=profile.subject[2:],
            event_time=profile.at_ms,
            source=origin,
            stage=profile.stage,
            segment=profile.segment,
            recency=profile.recency,
            frequency=profile.frequency,
            monetary=profile.monetary,
            purchases=profile.purchases,
            spend=round(profile.spend, 2),
            last_event=profile.last_ms,
            expected_value=round(profile.expected_value, 2),
        )
        for profile in last.values()
    ]


def boards(found: Sequence[Board], origin: Origin, horizon_ms: int) -> list[RetentionBoard]:
    """Return the retention boards of a partition."""
    return [
        RetentionBoard(
            id=f"{origin.partition}@{board.at_ms}",
            event_time=board.at_ms,
            source=origin,
            horizon_ms=horizon_ms,
            users=board.users,
            daily=board.daily,
            weekly=board.weekly,
            monthly=board.monthly,
            fresh=board.fresh,
            at_stake=board.at_stake,
            churned=board.churned,
            stages=board.stages,
            segments=board.segments,
            expected_value=round(board.expected_value, 2),
            cohorts=[RetentionCohort(one.week_ms, one.size, one.active) for one in board.cohorts],
        )
        for board in found
    ]
