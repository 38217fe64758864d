"""What came of the demo: whether the counts add up, and what was learned."""

from dataclasses import dataclass

from streams.demo.board import Gauges, Outputs
from streams.demo.feeder import Feeder
from streams.metrics import table


@dataclass(frozen=True)
class Check:
    """One equation between what was sent and what the worker or the topics say."""

    name: str
    sent: int
    found: int

    @property
    def holds(self) -> bool:
        """Whether both are the same."""
        return self.sent == self.found


def checks(feeder: Feeder, gauges: Gauges, outputs: Outputs) -> list[Check]:
    """Return every equation; all of them hold when nothing was lost and nothing done twice."""
    rejected, dead = gauges.rejected, outputs.dead_letters
    broken = feeder.broken
    whole = feeder.sent - feeder.repeated - broken.total()
    found = [
        Check("accepted", whole, gauges.count(table.EVENTS_ACCEPTED)),
        Check("duplicates dropped", feeder.repeated, gauges.count(table.EVENTS_DUPLICATE)),
    ]
    found += [
        Check(f"rejected: {reason}", broken[reason], rejected.get(reason, 0))
        for reason in sorted(broken.keys() | {name for name, count in rejected.items() if count})
    ]
    found += [
        Check("all events", feeder.sent, gauges.judged),
        Check("dead letters", sum(rejected.values()), dead.total()),
    ]
    return found


@dataclass(frozen=True)
class Quality:
    """Live quality of the models beside what would be known without them; None while it is not known."""

    labels: int
    drifts: int
    base_rate: float | None
    auc: float | None
    auc_recency: float | None
    log_loss: float | None
    log_loss_base_rate: float | None
    hit_rate: float | None
    hit_rate_popularity: float | None


def quality(gauges: Gauges, outputs: Outputs) -> Quality:
    """Return what the worker measures of itself, and recency measured on the same labels."""

    def churn(metric: str) -> float | None:
        return gauges.value(table.MODEL_QUALITY, "churn", metric)

    def lists(metric: str) -> float | None:
        return gauges.value(table.RECOMMENDATION_QUALITY, metric)

    return Quality(
        labels=int(churn("labels") or 0),
        drifts=gauges.count(table.DRIFTS, "churn") + gauges.count(table.DRIFTS, "hazard"),
        base_rate=churn("base_rate"),
        auc=churn("auc"),
        auc_recency=outputs.recency_auc(),
        log_loss=churn("log_loss"),
        log_loss_base_rate=churn("log_loss_base_rate"),
        hit_rate=lists("lists_hit_rate@20"),
        hit_rate_popularity=lists("popularity_hit_rate@20"),
    )
