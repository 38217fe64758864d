import math

import numpy as np
import pytest

from online_models import snapshots
from online_models.winback.bandit import Bandit, BanditPolicy
from online_models.winback.uplift import HOLDOUT, TREATED, UpliftBook
from tests.online_models.winback.test_bandit import ARMS, chances, context


def closed_loop(seed, cases=1200, holdout=0.2):
    """Let a bandit learn while its uplift is measured; return the book and what every arm truly gives."""
    rng, bandit, policy, book = np.random.default_rng(seed), Bandit(), BanditPolicy(), UpliftBook()
    truth = []
    for number in range(cases):
        x = context(rng)
        truth.append(chances(x))
        held = rng.random() < holdout
        shares = policy.propensities(ARMS, x, 0.15, np.zeros(3))
        arm = 0 if held else rng.choice(3, p=shares)
        returned = bool(rng.random() < truth[-1][arm])
        propensity = 1.0 if held else float(shares[arm])
        book.add(ARMS[arm], propensity, holdout=held, returned=returned, spend=0.0, cost=0.0)
        bandit.learn_one(ARMS[arm], x, float(returned))
        if number % 50 == 49:
            policy = bandit.policy(1, {})
    return book.report(), np.mean(truth, axis=0)


class TestUplift:
    def test_the_true_uplift_lies_within_the_interval_though_the_bandit_picks_whom_it_treats(self):
        """Of two arms in twelve loops nineteen of twenty intervals should hold it; at least 20 of 24 must."""
        held = 0
        for seed in range(12):
            report, truth = closed_loop(seed, cases=400)
            for arm in (1, 2):
                held += report[ARMS[arm]].low <= truth[arm] - truth[0] <= report[ARMS[arm]].high
        assert held >= 20

    def test_plain_rates_would_have_been_wrong(self):
        """The bandit gives an arm to those on whom it works: their plain return rate flatters it."""
        report, truth = closed_loop(1, cases=1500)
        plain = report["coupon"].returns / report["coupon"].cases
        assert plain - truth[1] > 0.08
        assert report["coupon"].rate == pytest.approx(truth[1], abs=0.05)

    def test_with_equal_propensities_it_is_the_difference_of_rates(self):
        book = UpliftBook()
        for number in range(100):
            book.add("a", 0.5, holdout=False, returned=number < 40, spend=2.0 * (number < 40), cost=1.5)
            book.add("none", 1.0, holdout=True, returned=number < 25, spend=0.0, cost=0.0)
        found = book.report()
        assert found["a"].uplift == pytest.approx(0.15)
        assert found["a"].spend_uplift == pytest.approx(0.8)
        assert found["a"].cost == 1.5
        # Newcombe's interval of 40 and 25 of 100 is .020 to .272.
        assert (found["a"].low, found["a"].high) == pytest.approx((0.020, 0.272), abs=0.01)
        assert (found[TREATED].uplift, found[HOLDOUT].cases) == (pytest.approx(0.15), 100)

    def test_few_cases_are_never_certain_and_without_a_holdout_there_is_no_uplift(self):
        book = UpliftBook()
        book.add("a", 0.5, holdout=False, returned=True, spend=1.0, cost=0.0)
        assert math.isnan(book.report()["a"].uplift)
        book.add("none", 1.0, holdout=True, returned=False, spend=0.0, cost=0.0)
        assert book.report()["a"].low < 0 < book.report()["a"].uplift

    def test_state_survives(self):
        book = UpliftBook()
        book.add("a", 0.3, holdout=False, returned=True, spend=0.1, cost=0.2)
        state = snapshots.unpack("s", 1, snapshots.pack("s", 1, book.state()))
        assert UpliftBook.from_state(state).state() == book.state()
