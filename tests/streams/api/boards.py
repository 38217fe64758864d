"""Retention boards of partitions, as workers write them."""

from streams.schemas import Origin, RetentionBoard, RetentionCohort


def board(partition, day, daily, cohorts=()):
    return RetentionBoard(
        id=f"{partition}@{day}",
        event_time=day,
        source=Origin("users", "retention", "events", partition, 1),
        horizon_ms=5,
        users=2 * daily,
        daily=daily,
        weekly=daily,
        monthly=daily,
        fresh=1,
        at_stake=daily,
        churned=1,
        stages={"new": 1, "active": daily},
        segments={"loyal": daily},
        expected_value=0.5,
        cohorts=[RetentionCohort(*cohort) for cohort in cohorts],
    )
