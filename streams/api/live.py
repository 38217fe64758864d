"""What all workers are doing right now, as one sample: the sum of what each says of itself."""

import asyncio
import math
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import aiohttp
import msgspec

from online_models.winback.uplift import HOLDOUT
from streams.announce import Directory
from streams.api.owners import fetch
from streams.api.worker import ApiWorker, Local, sources
from streams.metrics import Held, Metrics, table
from streams.metrics.metric import Metric
from streams.schemas import ActionWorth, Counters, LiveSample, WorkerAnnouncement

PATH: Final = "/v1/live"
_TIMEOUT: Final = aiohttp.ClientTimeout(total=1.0)


@dataclass(frozen=True)
class Live:
    """Takes samples.

    Parameters
    ----------
    worker, local
        This worker.
    directory
        The other ones.
    session, token
        For the questions to them.
    """

    worker: ApiWorker
    local: Local
    directory: Directory
    session: aiohttp.ClientSession
    token: str

    @property
    def alone(self) -> bool:
        """Whether no other worker has announced itself."""
        return not self.directory.others(self.local.instance)

    def own(self) -> LiveSample:
        """Return what this worker is doing."""
        metrics = self.worker.metrics
        take_standing(self.worker, self.local)
        now_ms = time.time_ns() // 1_000_000
        lags = [lag for _, lag in metrics.values(table.EVENT_TIME_LAG)]
        agents = sources(self.worker.settings)
        waiting: Counter[str] = Counter()
        for (topic, _), records in metrics.values(table.LAG):
            waiting[agents.get(topic, topic)] += int(records)
        rows: Counter[str] = Counter()
        for (agent, _), count in metrics.values(table.STATE_ROWS):
            rows[agent] += int(count)
        return LiveSample(
            time=now_ms,
            workers=1,
            ready=int(not self.local.missing()),
            counters=counters(metrics),
            lag=dict(waiting),
            users=rows["users"],
            items=rows["items"],
            clock=now_ms - int(min(lags) * 1000) if lags else None,
            lists={labels[0]: value for labels, value in metrics.values(table.RECOMMENDATION_QUALITY)},
            winback=_winback(metrics),
        )

    async def shop(self) -> LiveSample:
        """Return what all workers are doing; those that do not answer at once are left out."""
        others = await asyncio.gather(
            *(self._ask(other) for other in self.directory.others(self.local.instance))
        )
        return together([self.own(), *(sample for sample in others if sample is not None)])

    async def _ask(self, other: WorkerAnnouncement) -> LiveSample | None:
        answer = await fetch(self.session, other, PATH, token=self.token, patience=_TIMEOUT)
        if answer is None or answer.status != HTTPStatus.OK:
            return None
        try:
            return msgspec.json.decode(answer.body, type=LiveSample)
        except msgspec.DecodeError:
            return None  # a worker of another release, while they are being replaced


def take_standing(worker: ApiWorker, local: Local) -> None:
    """Bring the metrics of what is held up to date."""
    membership = worker.runtime.membership
    worker.metrics.standing(
        membership.generation if membership else 0,
        [
            Held(agent, held.source, held.opened, max(0, held.fetch_next - held.position))
            for agent, held in local.held()
        ],
        ready=not local.missing(),
    )


def counters(metrics: Metrics) -> Counters:
    """Return what a worker has done since it started."""
    return Counters(
        accepted=int(metrics.value(table.EVENTS_ACCEPTED.name)),
        duplicates=int(metrics.value(table.EVENTS_DUPLICATE.name)),
        scores=int(metrics.value(table.SCORES.name)),
        lists=int(metrics.value(table.LISTS.name)),
        checkpoints=int(metrics.value(table.CHECKPOINTS.name)),
        rejected=_by_label(metrics, table.EVENTS_REJECTED),
        alerts=_by_label(metrics, table.ALERTS),
    )


def together(samples: Sequence[LiveSample]) -> LiveSample:
    """Return samples of several workers as one: sums; the quality of lists weighted by their number.

    >>> one = LiveSample(5, 1, 1, Counters(2, 0, 0, 4, 0, {"not_json": 1}, {}), {"users": 3}, 7, 0, None, {})
    >>> both = together([one, one])
    >>> both.workers, both.counters.accepted, both.counters.rejected, both.lag
    (2, 4, {'not_json': 2}, {'users': 6})
    """
    found = [sample.counters for sample in samples]
    clocks = [sample.clock for sample in samples if sample.clock is not None]
    return LiveSample(
        time=samples[0].time,
        workers=sum(sample.workers for sample in samples),
        ready=sum(sample.ready for sample in samples),
        counters=Counters(
            accepted=sum(one.accepted for one in found),
            duplicates=sum(one.duplicates for one in found),
            scores=sum(one.scores for one in found),
            lists=sum(one.lists for one in found),
            checkpoints=sum(one.checkpoints for one in found),
            rejected=_sum([one.rejected for one in found]),
            alerts=_sum([one.alerts for one in found]),
        ),
        lag=_sum([sample.lag for sample in samples]),
        users=sum(sample.users for sample in samples),
        items=sum(sample.items for sample in samples),
        clock=max(clocks, default=None),
        lists=_mean(samples),
        winback=next((sample.winback for sample in samples if sample.winback), []),  # the trainer's
    )


def _sum(parts: Sequence[dict[str, int]]) -> dict[str, int]:
    return {name: sum(part.get(name, 0) for part in parts) for name in {key for p in parts for key in p}}


def _winback(metrics: Metrics) -> list[ActionWorth]:
    cases, rates, spends = (
        {labels[0]: value for labels, value in metrics.values(metric)}
        for metric in (table.WINBACK_OUTCOMES, table.WINBACK_RATE, table.WINBACK_SPEND)
    )
    bounds = {
        labels: _finite(value)
        for labels, value in metrics.values(table.WINBACK_UPLIFT)
        if labels[0] != HOLDOUT  # it is what the others are compared with
    }
    return [
        ActionWorth(
            action,
            int(count),
            rates[action],
            uplift=bounds.get((action, "value")),
            low=bounds.get((action, "low")),
            high=bounds.get((action, "high")),
            spend=None if action == HOLDOUT else _finite(spends[action]),
        )
        for action, count in sorted(cases.items())
        if math.isfinite(rates[action])
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(samples: Sequence[LiveSample]) -> dict[str, float]:
    """Return the quality of lists: every worker counts as much as the lists it has published."""
    found = {}
    for name in {name for sample in samples for name in sample.lists}:
        pairs = [(one.lists[name], one.counters.lists) for one in samples if name in one.lists]
        if weight := sum(count for _, count in pairs):
            found[name] = sum(value * count for value, count in pairs) / weight
    return found


def _by_label(metrics: Metrics, metric: Metric) -> dict[str, int]:
    return {labels[0]: int(value) for labels, value in metrics.values(metric) if value}
