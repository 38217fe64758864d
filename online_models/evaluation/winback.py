"""What policies would have earned on logged decisions, the one that the bandit learns from them among others.

The bandit sees the log in an order drawn from a seed and is judged on each block of cases before it learns
it, so no case is judged by a model that knows its reward.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from online_models.errors import InvalidParameterError
from online_models.events import Floats, Int64s
from online_models.winback.bandit import Bandit, BanditPolicy
from online_models.winback.off_policy import Estimate, doubly_robust, ips, mean_of, snips

LEARNED: Final = "learned"
_BLOCK: Final = 200


@dataclass(frozen=True, slots=True)
class LoggedDecisions:
    """Decisions with their rewards, as columns.

    Parameters
    ----------
    names
        What the entries of a context are called; there is a constant among them.
    arms
        A names of actions.
    action
        (n,) which was chosen.
    propensity
        (n,) with which probability.
    reward
        (n,) what it gave.
    context
        (n, C) what was known before.

    Raises
    ------
    InvalidParameterError
        When the columns do not fit together.
    """

    names: Sequence[str]
    arms: Sequence[str]
    action: Int64s
    propensity: Floats
    reward: Floats
    context: Floats

    def __post_init__(self) -> None:
        n = self.action.size
        if self.context.shape != (n, len(self.names)) or not self.propensity.size == self.reward.size == n:
            raise InvalidParameterError(
                f"context must have shape ({n}, {len(self.names)}), got {self.context.shape}"
            )

    def __len__(self) -> int:
        """Return the number of decisions."""
        return self.action.size


@dataclass(frozen=True, slots=True)
class PolicyValue:
    """What a policy would have earned per decision, by three estimators, and how far ahead of the control.

    Parameters
    ----------
    ips, snips, doubly_robust
        Mean reward.
    ahead
        Doubly robust difference from always taking the control action, from the same cases.
    """

    ips: Estimate
    snips: Estimate
    doubly_robust: Estimate
    ahead: Estimate


def evaluate_policies(log: LoggedDecisions, control: str, seed: int = 7) -> dict[str, PolicyValue]:
    """Return what the learned policy, uniform choice and each action for everybody would have earned.

    Parameters
    ----------
    log
        The decisions.
    control
        The action that others are compared with.
    seed
        Of the order in which the bandit sees them.

    Raises
    ------
    InvalidParameterError
        When the control is no action of the log.
    """
    if control not in log.arms:
        raise InvalidParameterError(f"control must be one of {', '.join(log.arms)}, got {control!r}")
    order = np.random.default_rng(seed).permutation(len(log))
    log = LoggedDecisions(
        log.names, log.arms, log.action[order], log.propensity[order], log.reward[order], log.context[order]
    )
    predicted = _predicted(log)
    shares = np.eye(len(log.arms))
    targets = {
        LEARNED: shares[predicted.argmax(axis=1)],
        "uniform": np.full_like(predicted, 1 / len(log.arms)),
    }
    targets |= {arm: np.broadcast_to(shares[place], predicted.shape) for place, arm in enumerate(log.arms)}
    against = _terms(log, predicted, targets[control])
    return {name: _value(log, predicted, target, against) for name, target in targets.items()}


def _predicted(log: LoggedDecisions) -> Floats:
    """Return (n, A) the rewards that the bandit expects before it learns the block of the case."""
    bandit, policy = Bandit(log.names), BanditPolicy()
    found = np.zeros((len(log), len(log.arms)))
    for start in range(0, len(log), _BLOCK):
        block = slice(start, start + _BLOCK)
        for place, arm in enumerate(log.arms):
            if arm in policy.means:
                found[block, place] = log.context[block] @ policy.means[arm]
        for case in range(start, min(start + _BLOCK, len(log))):
            bandit.learn_one(log.arms[log.action[case]], log.context[case], float(log.reward[case]))
        policy = bandit.policy(1, {})
    return found


def _terms(log: LoggedDecisions, predicted: Floats, target: Floats) -> Floats:
    rows = np.arange(len(log))
    weights = target[rows, log.action] / log.propensity
    expected = (target * predicted).sum(axis=1)
    return np.asarray(expected + (log.reward - predicted[rows, log.action]) * weights)


def _value(log: LoggedDecisions, predicted: Floats, target: Floats, against: Floats) -> PolicyValue:
    rows = np.arange(len(log))
    chosen = target[rows, log.action]
    return PolicyValue(
        ips=ips(log.reward, log.propensity, chosen),
        snips=snips(log.reward, log.propensity, chosen),
        doubly_robust=doubly_robust(
            log.reward,
            log.propensity,
            chosen,
            predicted[rows, log.action],
            (target * predicted).sum(axis=1),
        ),
        ahead=mean_of(_terms(log, predicted, target) - against),
    )
