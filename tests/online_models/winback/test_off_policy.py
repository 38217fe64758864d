import math

import numpy as np
import pytest

from online_models.errors import InvalidParameterError
from online_models.winback.off_policy import doubly_robust, ips, mean_of, snips


def logged(seed, cases=4000):
    """Return a log of two actions whose rewards are known, and a policy that always takes the second."""
    rng = np.random.default_rng(seed)
    x = rng.random(cases)
    share = 0.2 + 0.6 * x  # of action 1
    action = (rng.random(cases) < share).astype(int)
    truth = np.stack((0.3 + 0 * x, 0.2 + 0.4 * x))
    reward = (rng.random(cases) < truth[action, np.arange(cases)]).astype(float)
    propensity = np.where(action == 1, share, 1 - share)
    return x, action, reward, propensity, float(truth[1].mean())


def estimated(estimator, seed):
    """Return an estimate, and the truth."""
    x, action, reward, propensity, truth = logged(seed)
    target = (action == 1).astype(float)
    if estimator in {ips, snips}:
        return estimator(reward, propensity, target), truth
    q = np.full((2, x.size), 0.9) if estimator == "wrong model" else np.stack((0.3 + 0 * x, 0.2 + 0.4 * x))
    return doubly_robust(reward, propensity, target, q[action, np.arange(x.size)], q[1]), truth


@pytest.mark.parametrize("estimator", [ips, snips, "right model", "wrong model"])
def test_the_truth_lies_within_the_interval(estimator):
    """Of 40 intervals of 95 % two should miss it."""
    found = [estimated(estimator, seed) for seed in range(40)]
    assert sum(one.low <= truth <= one.high for one, truth in found) >= 35


def test_a_good_model_narrows_the_doubly_robust_interval():
    x, action, reward, propensity, _ = logged(1)
    target = (action == 1).astype(float)
    q = np.stack((0.3 + 0 * x, 0.2 + 0.4 * x))
    wide, narrow = (
        ips(reward, propensity, target),
        doubly_robust(reward, propensity, target, q[action, np.arange(x.size)], q[1]),
    )
    assert narrow.high - narrow.low < wide.high - wide.low


def test_evaluating_the_logging_policy_gives_the_mean_reward():
    _, _, reward, propensity, _ = logged(2)
    for found in (ips(reward, propensity, propensity), snips(reward, propensity, propensity)):
        assert found.value == pytest.approx(reward.mean())


def test_nothing_logged_is_nothing_known():
    none = np.zeros(0)
    assert math.isnan(ips(none, none, none).value)
    assert math.isnan(snips(none, none, none).value)
    assert mean_of(np.ones(1)).low == -math.inf


def test_a_propensity_that_is_none_is_refused():
    with pytest.raises(InvalidParameterError, match=r"propensity must be above 0 .* got 0.0 to 1.0"):
        ips(np.ones(2), np.array([0.0, 1.0]), np.ones(2))
