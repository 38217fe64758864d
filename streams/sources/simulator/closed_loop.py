"""The simulated shop with win-back: decisions change what users do, and every true effect is known."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final

import msgspec
import numpy as np

from online_models.evaluation.bootstrap import Interval
from online_models.events import EventBatch, Floats
from online_models.pipeline import Pipeline
from online_models.winback.bandit import BanditPolicy
from online_models.winback.context import CONTEXT_NAMES
from online_models.winback.off_policy import mean_of
from online_models.winback.outcomes import Decision
from online_models.winback.settings import NONE
from online_models.winback.uplift import TREATED, Uplift
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.sources.simulator.config import ShopConfig
from streams.sources.simulator.population import user_number
from streams.sources.simulator.responses import ACTIONS, Attempt, Response
from streams.sources.simulator.shop import Shop

_BATCH: Final = 2_000
_RISK: Final = CONTEXT_NAMES.index("risk")


@dataclass(frozen=True, slots=True)
class LoopReport:
    """What a run came to, beside the truth.

    Parameters
    ----------
    decisions
        Decisions that were made.
    estimated
        Measured by the trainer, by action.
    true_uplift
        By action: how much more often the users whose outcome is known come back if all of them get it.
    reward, uniform, best
        Mean chance of a return less costs, per decision outside of the holdout: of what was chosen, of
        uniform choice, and of the best action for each.
    ahead
        How far the reward lies ahead of uniform choice, with its interval of 95 %.
    by_effect, by_risk
        At equal budget (a third of the second half's decisions): true extra returns per treatment where those
        with the largest estimated effect are treated, or those at the highest risk.
    """

    decisions: int
    estimated: dict[str, Uplift]
    true_uplift: dict[str, float]
    reward: float
    uniform: float
    best: float
    ahead: Interval
    by_effect: float
    by_risk: float


@dataclass(slots=True)
class ClosedLoop:
    """Runs a shop and a pipeline together, day by day.

    Parameters
    ----------
    config
        The shop's size, pace and length.
    pipeline
        All stores in one process; its win-back actions are the ones that the shop's users know.
    """

    config: ShopConfig
    pipeline: Pipeline
    _made: list[tuple[Decision, Response]] = field(default_factory=list)
    _halfway: BanditPolicy = field(default_factory=BanditPolicy)

    def days(self) -> Iterator[int]:
        """Run; yield the number of decisions after each day."""
        shop, decoder, offset = Shop(self.config), Decoder(), 0
        horizon_ms = self.pipeline.settings.users.horizon_ms
        for day, events in enumerate(shop.days()):
            decisions: list[Decision] = []
            for batch, count in _batches(events, decoder, offset):
                decisions += [one for step in self.pipeline.steps(batch) for one in step.effects.decisions]
                offset += count
            attempts = [Attempt(user_number(one.subject[2:]), one.action, one.at_ms) for one in decisions]
            self._made += zip(decisions, shop.win_back(attempts, horizon_ms), strict=True)
            if self.config.days and day < self.config.days // 2:
                self._halfway = self.pipeline.bandit or self._halfway
            yield len(self._made)

    def report(self) -> LoopReport:
        """Compare what was measured with what is true."""
        winback = self.pipeline.settings.users.winback
        settled_ms = self.pipeline.users.clock.now_ms - self.pipeline.settings.users.horizon_ms
        known = [response for decision, response in self._made if decision.at_ms < settled_ms]
        rates = np.array([response.rates for response in known]).reshape(-1, len(ACTIONS))
        arms = [ACTIONS.index(arm) for arm in winback.arms]
        costs = np.array([winback.cost_of(arm) / winback.return_value for arm in winback.arms])
        treated = [(one, response.rates[arms] - costs) for one, response in self._made if not one.holdout]
        chosen = np.array([gains[winback.arms.index(one.action)] for one, gains in treated])
        gains = np.array([gains for _, gains in treated]).reshape(-1, len(arms))
        ahead = mean_of(chosen - gains.mean(axis=1))
        by_effect, by_risk = self._targeting()
        return LoopReport(
            decisions=len(self._made),
            estimated=self.pipeline.trainer.winback.uplift(),
            true_uplift={
                arm: float((rates[:, ACTIONS.index(arm)] - rates[:, 0]).mean()) if len(rates) else np.nan
                for arm in winback.arms
            },
            reward=float(chosen.mean()),
            uniform=float(gains.mean()),
            best=float(gains.max(axis=1).mean()),
            ahead=Interval(ahead.value, ahead.low, ahead.high),
            by_effect=by_effect,
            by_risk=by_risk,
        )

    def _targeting(self) -> tuple[float, float]:
        """Return the true extra returns per treatment by effect and by risk, as believed half-way."""
        arms = [arm for arm in self.pipeline.settings.users.winback.arms if arm != NONE]
        later = self._made[len(self._made) // 2 :]
        context = np.array([decision.context for decision, _ in later])
        rewards = np.array([self._halfway.rewards([NONE, *arms], x)[0] for x in context])
        effect = (rewards[:, 1:] - rewards[:, :1]).max(axis=1)
        action = [ACTIONS.index(arms[place]) for place in rewards[:, 1:].argmax(axis=1).tolist()]
        true: Floats = np.array(
            [one.rates[place] - one.rates[0] for (_, one), place in zip(later, action, strict=True)]
        )
        budget = max(1, len(later) // 3)
        by_effect, by_risk = (
            true[np.argsort(-rank, kind="stable")[:budget]].mean() for rank in (effect, context[:, _RISK])
        )
        return float(by_effect), float(by_risk)


def as_document(report: LoopReport) -> dict[str, Any]:
    """Return the report by action, estimate beside truth."""
    plain: dict[str, Any] = msgspec.to_builtins(report)
    for name, truth in report.true_uplift.items():
        if name in report.estimated:
            found = report.estimated[name]
            plain["estimated"][name]["holds_truth"] = bool(found.low <= truth <= found.high)
    plain["estimated"].pop(TREATED, None)
    return plain


def _batches(
    events: Iterator[dict[str, Any]], decoder: Decoder, offset: int
) -> Iterator[tuple[EventBatch, int]]:
    while run := list(islice(events, _BATCH)):
        records = [
            Record(offset + place, event["event_time"], None, msgspec.json.encode(event))
            for place, event in enumerate(run)
        ]
        yield decoder.decode(records).events, len(run)
        offset += len(run)
