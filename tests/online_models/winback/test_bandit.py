import numpy as np
import pytest

from online_models import snapshots
from online_models.errors import CorruptStateError
from online_models.winback.bandit import Bandit, BanditPolicy, chance_of_best
from online_models.winback.context import CONTEXT_NAMES
from online_models.winback.learner import WinbackLearner
from online_models.winback.outcomes import Decision, Outcome, OutcomeBatch

ARMS = ("none", "coupon", "push")
SIZE = len(CONTEXT_NAMES)


def context(rng):
    return np.concatenate(([1.0], rng.random(SIZE - 1)))


def chances(x):
    """Return what each arm truly gives: coupons work on the one kind of user, pushes on the other."""
    return np.array([0.1, 0.1 + 0.5 * x[1], 0.1 + 0.5 * (1 - x[1])])


def outcome_of(number, arm="coupon", *, returned=True, holdout=False, propensity=0.5):
    context_ = tuple(np.float32(value) for value in np.random.default_rng(number).random(SIZE))
    decision = Decision(f"u:{number}", 1000 + number, arm, holdout, propensity, 5.0, context_, 0)
    return Outcome(decision, 9000 + number, 2000 if returned else 0, 0, 0, 12.5 if returned else 0.0)


class TestPropensities:
    def test_they_are_the_shares_of_draws_in_which_an_arm_is_best(self):
        mean, deviation = np.array([0.2, 0.3, 0.25]), np.array([0.1, 0.05, 0.2])
        draws = np.random.default_rng(1).normal(mean, deviation, (200_000, 3)).argmax(axis=1)
        assert chance_of_best(mean, deviation) == pytest.approx(np.bincount(draws) / 200_000, abs=0.004)

    def test_a_policy_that_believes_nothing_is_uniform(self):
        assert BanditPolicy().propensities(ARMS, np.ones(SIZE), 0.1, np.zeros(3)).tolist() == [1 / 3] * 3

    def test_every_arm_keeps_its_share_of_exploration(self):
        bandit = Bandit()
        for _ in range(300):
            bandit.learn_one("coupon", np.ones(SIZE), 1.0)
            bandit.learn_one("none", np.ones(SIZE), 0.0)
        found = bandit.policy(1, {}).propensities(ARMS[:2], np.ones(SIZE), 0.1, np.zeros(2))
        assert found == pytest.approx([0.05, 0.95], abs=1e-6)

    def test_an_arm_that_costs_more_than_it_gives_is_avoided(self):
        bandit = Bandit()
        for _ in range(300):
            bandit.learn_one("coupon", np.ones(SIZE), 0.5)
            bandit.learn_one("none", np.ones(SIZE), 0.4)
        policy = bandit.policy(1, {})
        assert policy.propensities(ARMS[:2], np.ones(SIZE), 0.1, np.array([0.0, 0.0]))[1] > 0.9
        assert policy.propensities(ARMS[:2], np.ones(SIZE), 0.1, np.array([0.0, 0.3]))[1] < 0.1


class TestLearning:
    def test_it_earns_more_than_uniform_choice_and_most_of_what_could_be_earned(self):
        rng, bandit, policy = np.random.default_rng(5), Bandit(), BanditPolicy()
        earned = np.zeros(3)
        for number in range(1500):
            x = context(rng)
            truth = chances(x)
            arm = rng.choice(3, p=policy.propensities(ARMS, x, 0.1, np.zeros(3)))
            bandit.learn_one(ARMS[arm], x, float(rng.random() < truth[arm]))
            if number % 25 == 24:
                policy = bandit.policy(1, {})
            if number >= 500:
                earned += truth[arm], truth.mean(), truth.max()
        assert earned[0] > 1.2 * earned[1]
        assert earned[0] - earned[1] > 0.7 * (earned[2] - earned[1])


class TestState:
    def test_a_restored_bandit_goes_on_bit_for_bit(self):
        rng, one, other = np.random.default_rng(2), Bandit(), Bandit()
        for number in range(60):
            x = context(rng)
            for bandit in (one, other):
                bandit.learn_one(ARMS[number % 3], x, float(number % 2))
            other = Bandit.from_state(snapshots.unpack("b", 1, snapshots.pack("b", 1, other.state())))
        assert snapshots.pack("b", 1, other.state()) == snapshots.pack("b", 1, one.state())
        assert other.policy(3, {}).to_snapshot() == one.policy(3, {}).to_snapshot()

    def test_a_snapshot_describes_the_whole_policy(self):
        bandit = Bandit()
        bandit.learn_one("push", np.ones(SIZE), 1.0)
        policy = bandit.policy(7, {"outcomes": 1.0})
        again = BanditPolicy.from_snapshot(policy.to_snapshot())
        assert again.to_snapshot() == policy.to_snapshot()
        assert (again.version, again.card) == (7, {"outcomes": 1.0})

    def test_an_entry_of_the_context_that_is_no_more_is_left_out(self):
        content = BanditPolicy(1, {"a": np.ones(SIZE)}, {"a": np.eye(SIZE)}).to_snapshot()
        content["context"][3] = "former"
        expected = [float(place != 3) for place in range(SIZE)]
        assert BanditPolicy.from_snapshot(content).means["a"].tolist() == expected

    def test_weights_that_are_no_numbers_are_refused(self):
        content = BanditPolicy(1, {"a": np.full(SIZE, np.nan)}, {"a": np.eye(SIZE)}).to_snapshot()
        with pytest.raises(CorruptStateError, match="no numbers"):
            BanditPolicy.from_snapshot(content)


class TestLearner:
    def outcomes(self):
        return [outcome_of(n, ARMS[n % 3], returned=n % 4 == 0, holdout=n % 7 == 0) for n in range(90)]

    def test_what_it_learns_and_publishes_does_not_depend_on_where_batches_are_cut(self):
        found = []
        for size in (1, 7, 90):
            learner, published = WinbackLearner(), []
            for at in range(0, 90, size):
                batch = OutcomeBatch.unpack(OutcomeBatch.of(self.outcomes()[at : at + size]).pack())
                published += [policy.to_snapshot() for policy in learner.apply(batch)]
            found.append((published, learner.dirty_rows(), learner.card()))
        assert found[0] == found[1] == found[2]
        assert [policy["version"] for policy in found[0][0]] == list(range(1, 10))

    def test_a_restored_one_goes_on_bit_for_bit(self):
        whole, log = WinbackLearner(), []
        for outcome in self.outcomes():
            whole.apply(OutcomeBatch.of([outcome]))
            resumed = WinbackLearner()
            for _, value in log[-1:]:
                resumed.restore(value)
            resumed.apply(OutcomeBatch.of([outcome]))
            log += resumed.dirty_rows()
        assert log[-1:] == whole.dirty_rows()

    def test_outcomes_that_would_spoil_it_are_left_out(self):
        learner = WinbackLearner()
        batch = OutcomeBatch.of([outcome_of(1), outcome_of(2, propensity=0.0)])
        batch.context[0, 2] = np.nan
        assert learner.apply(batch) == []
        assert learner.card() == {"outcomes": 0.0}

    def test_columns_of_several_lengths_are_refused(self):
        batch = OutcomeBatch.of([outcome_of(1)])
        with pytest.raises(CorruptStateError, match="several lengths"):
            OutcomeBatch.unpack(snapshots.pack("outcomes", 1, {**_content(batch), "spend": np.zeros(2)}))


def _content(batch):
    return snapshots.unpack("outcomes", 1, batch.pack())
