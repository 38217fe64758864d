"""The models beside River's: second order, ageing, the rolled hazard, and the contest between all of them."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models import snapshots
from online_models.churn.bgnbd_expert import BgNbdExpert
from online_models.churn.contest import Contest
from online_models.churn.experts import CANDIDATES, Experts
from online_models.churn.features import FEATURE_NAMES, features
from online_models.churn.hazard import Roll, RolledHazard
from online_models.churn.labels import CHURN, ExampleBatch
from online_models.churn.profile import UserStore
from online_models.churn.recursive import RecursiveLogistic
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import DAY_MS, BgNbdSettings, UserSettings
from online_models.churn.trainer import TrainerSettings, TrainerStore
from online_models.errors import CorruptStateError, InvalidParameterError
from tests.online_models.churn.workload import START_MS, Event, batch_of

WIDTH = len(FEATURE_NAMES)
SETTINGS = UserSettings()
ROLL = Roll(SETTINGS.horizon_ms, SETTINGS.hazard_step_ms)
FAST = TrainerSettings(min_labels=20, publish_every=400, window=1024, horizon_ms=28 * DAY_MS)


def visits(days):
    kinds = ("view_item", "add_to_cart", "purchase")
    return [
        Event("u:ann", kinds[i % 3], START_MS + day * DAY_MS, items=("a", "b"), value=20.0)
        for i, day in enumerate(days)
    ]


def rows_of(days):
    store = UserStore(SETTINGS)
    store.apply(batch_of(visits(days)))
    return store._table.read(store._table.find(["u:ann"]))


def hazard(seed=1, roll=ROLL):
    weights = np.random.default_rng(seed).normal(0, 0.2, WIDTH)
    return RolledHazard(weights, -1.0, roll)


def some_features(count=20, seed=3):
    random = np.random.default_rng(seed)
    return np.abs(random.normal(1, 1, (count, WIDTH))).astype(np.float32)


class TestRecursiveLogistic:
    def learn(self, model, count=400, seed=0):
        random = np.random.default_rng(seed)
        for x in np.column_stack((random.normal(0, 1, (count, 2)), np.ones(count))):
            model.learn_one(x, int(random.random() < 1 / (1 + np.exp(-(2 * x[0] - x[1] + 0.5)))))
        return model

    def test_it_arrives_where_the_likeliest_weights_are(self):
        model = self.learn(RecursiveLogistic(("a", "b", "one"), noise=0.0), 3000)
        assert model.weights == pytest.approx([2, -1, 0.5], abs=0.2)

    def test_one_label_moves_to_the_maximum_of_its_posterior(self):
        model, x = RecursiveLogistic(("a", "b"), variance=np.array([4.0, 1.0])), np.array([3.0, -2.0])
        model.learn_one(x, 1)
        gradient = x * (1 - 1 / (1 + np.exp(-model.weights @ x))) - model.weights / [4.0, 1.0]
        assert gradient == pytest.approx([0, 0], abs=1e-9)

    def test_a_label_in_parts_teaches_as_much_as_the_whole(self):
        model, parts = (RecursiveLogistic(("a", "b"), variance=1e-4, noise=0.0) for _ in range(2))
        x = np.array([3.0, -2.0])
        model.learn_one(x, 1)
        for _ in range(4):
            parts.learn_one(x, 1, weight=0.25)
        assert parts.weights == pytest.approx(model.weights, rel=1e-3)
        assert parts.state()["covariance"] == pytest.approx(model.state()["covariance"], rel=1e-3)

    @given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.integers(0, 1))
    def test_no_input_however_large_breaks_it(self, first, second, label):
        model = RecursiveLogistic(("a", "b"))
        for _ in range(3):
            model.learn_one(np.array([first, second]), label)
            model.learn_one(np.array([first, second]), 1 - label)
        assert np.isfinite(model.weights).all()

    def test_a_restored_model_goes_on_bit_for_bit(self):
        model = self.learn(RecursiveLogistic(("a", "b", "one")))
        copy = RecursiveLogistic(("a", "b", "one"))
        copy.restore(snapshots.unpack("m", 1, snapshots.pack("m", 1, model.state())))
        assert self.learn(copy, seed=1).weights.tolist() == self.learn(model, seed=1).weights.tolist()

    def test_inputs_go_by_their_names(self):
        model = self.learn(RecursiveLogistic(("a", "b", "one")))
        other = RecursiveLogistic(("one", "new", "a"))
        other.restore(model.state())
        assert other.weights.tolist() == [model.weights[2], 0.0, model.weights[0]]

    def test_after_loosening_it_follows_sooner(self):
        loose, tight = (self.learn(RecursiveLogistic(("a", "b", "one"))) for _ in range(2))
        loose.loosen()
        x = np.array([1.0, 0.0, 1.0])
        assert loose.weights.tolist() == tight.weights.tolist()
        for model in (loose, tight):
            model.learn_one(x, 0)
        assert loose.weights @ x < tight.weights @ x

    def test_what_is_no_number_is_not_restored(self):
        state = self.learn(RecursiveLogistic(("a", "b", "one"))).state()
        for wrong in ({"weights": np.array([1.0, np.nan, 0.0])}, {"covariance": np.zeros(2)}):
            with pytest.raises(CorruptStateError):
                RecursiveLogistic(("a", "b", "one")).restore(state | wrong)

    def test_variances_are_positive(self):
        with pytest.raises(InvalidParameterError, match="variance must be positive, got 0"):
            RecursiveLogistic(("a",), variance=0)


class TestAgeing:
    @pytest.mark.parametrize("days", [[0], [0, 3, 9], [0, 1, 2, 5, 20, 21, 40]])
    def test_aged_features_are_those_that_a_silent_user_comes_to_have(self, days):
        rows, now = rows_of(days), START_MS + (days[-1] + 2) * DAY_MS
        found = ROLL.aged(features(rows, now, SETTINGS))
        for start_ms, later in zip(ROLL.starts_ms.tolist(), found[:, 0], strict=True):
            expected = features(rows, now + int(start_ms), SETTINGS)[0]
            off = {
                n: (a, b) for n, a, b in zip(FEATURE_NAMES, later, expected, strict=True) if abs(a - b) > 2e-3
            }
            assert not off

    def test_steps_cover_the_horizon_exactly(self):
        roll = Roll(60 * DAY_MS, 7 * DAY_MS)
        assert (roll.shares * 7).sum() == pytest.approx(60)

    def test_a_step_beyond_the_horizon_is_refused(self):
        with pytest.raises(InvalidParameterError, match="step_ms"):
            Roll(DAY_MS, 2 * DAY_MS)


class TestRolledHazard:
    def test_silence_is_silence_in_every_step(self):
        model, x = hazard(), some_features()
        quiet = np.ones(len(x))
        for step, share in zip(ROLL.aged(x), ROLL.shares.tolist(), strict=True):
            quiet *= (1 - 1 / (1 + np.exp(-(step @ model.weights + model.bias)))) ** share
        assert 1 / (1 + np.exp(-model.log_odds(x))) == pytest.approx(np.clip(quiet, 3.4e-4, 1 - 3.4e-4))

    def test_contributions_add_up_exactly(self):
        model, x = hazard(), some_features()
        center = x.astype(np.float64).mean(axis=0)
        added = model.contributions(x, center).sum(axis=1) + model.log_odds(center[None])[0]
        assert added == pytest.approx(model.log_odds(x), abs=1e-9)

    def test_it_survives_the_wire(self):
        model, x = hazard(), some_features()
        again = RolledHazard.from_snapshot(model.to_snapshot())
        assert again.log_odds(x).tolist() == model.log_odds(x).tolist()


def stream(count=3000, seed=0):
    """Return examples in which silence hangs on recency, the hazard label on it too."""
    random = np.random.default_rng(seed)
    x = some_features(count, seed)
    odds = 2 * (x[:, 0] - 1)
    kind = (random.random(count) < 0.4).astype(np.int8)
    label = (random.random(count) < 1 / (1 + np.exp(np.where(kind == CHURN, -odds, odds + 1.5)))).astype(
        np.int8
    )
    landmark = np.sort(random.integers(0, 300, count)) * DAY_MS
    return ExampleBatch(kind, x, label, landmark, landmark + 28 * DAY_MS, np.arange(count).astype(np.uint64))


class TestContest:
    def trained(self, size=3000, count=3000):
        store, examples = TrainerStore(FAST), stream(count)
        scorers = []
        for at in range(0, len(examples), size):
            scorers += store.apply(examples.take(slice(at, at + size))).scorers
        return store, scorers

    @pytest.mark.parametrize("size", [1, 7])
    def test_nothing_depends_on_where_batches_are_cut(self, size):
        (whole, scorers), (pieces, others) = self.trained(1500, 1500), self.trained(size, 1500)
        assert [scorer.pack() for scorer in scorers] == [scorer.pack() for scorer in others]
        assert whole.dirty_rows() == pieces.dirty_rows()

    def test_a_trainer_restored_in_the_midst_goes_on_bit_for_bit(self):
        examples, whole = stream(), self.trained()[0]
        store, log = TrainerStore(FAST), []
        for at in range(0, len(examples), 700):
            store.apply(examples.take(slice(at, at + 700)))
            log += store.dirty_rows()
            store = TrainerStore(FAST)
            store.restore(log)
            store.restored()
        assert store.current().to_snapshot() == whole.current().to_snapshot()

    def test_all_candidates_are_measured_and_one_of_them_is_champion(self):
        card = self.trained()[0].card()
        assert sum(card[f"{name}_champion"] for name in CANDIDATES) == 1
        for name in set(CANDIDATES) - {"bgnbd"}:
            assert card[f"{name}_auc"] > 0.7, "all of them learn, but for one who looks at sessions only"

    def test_the_champion_scores_as_the_contest_says_it_does(self):
        store = self.trained()[0]
        x = some_features(50, seed=8)
        for champion in CANDIDATES:
            store._contest.champion = champion
            experts = store._experts()
            expected = experts.log_odds(x, ROLL.aged(x))[:, CANDIDATES.index(champion)]
            scorer = ChurnScorer.unpack(store.current().pack())
            assert scorer.champion == champion
            assert scorer.log_odds(x) == pytest.approx(expected, abs=1e-9)
            center = scorer.log_odds(scorer.center[None])[0]
            assert scorer.contributions(x).sum(axis=1) + center == pytest.approx(expected, abs=1e-9)

    def test_a_label_is_judged_by_the_models_as_they_were_at_its_landmark(self):
        roll = Roll(8 * DAY_MS, DAY_MS)
        contest, x = Contest(8 * DAY_MS, 0, 256), np.zeros(WIDTH, np.float32)

        def sure(log_odds):
            return Experts(
                *(np.zeros((2, WIDTH)), np.full(2, log_odds), hazard(roll=roll)),
                *(BgNbdExpert(BgNbdSettings(), 8 * DAY_MS), np.zeros(5), "newton"),
            )

        steps = roll.aged(x[None])
        assert contest.judge(x, steps, 0, 1) is None
        contest.keep(5 * DAY_MS, 0, sure(2.0))
        contest.keep(6 * DAY_MS, 0, sure(-2.0))
        assert contest.judge(x, steps, 6 * DAY_MS - 1, 1) == pytest.approx(1 / (1 + np.exp(-2)))
        assert contest.judge(x, steps, 6 * DAY_MS, 1) == pytest.approx(1 / (1 + np.exp(2)))

    def test_kept_models_are_bounded_and_cover_what_waits(self):
        contest, experts = Contest(28 * DAY_MS, 0, 256), TrainerStore(FAST)._experts()
        for day in range(400):
            if contest.due(day * DAY_MS):
                contest.keep(day * DAY_MS, (day - 29) * DAY_MS, experts)
        times = [at for at, _ in contest._kept]
        assert len(times) < 20
        assert times[0] <= (399 - 30) * DAY_MS

    def test_the_blend_takes_over_from_a_lone_expert_once_it_was_judged_over_a_horizon(self):
        roll = Roll(8 * DAY_MS, DAY_MS)
        contest, x = Contest(8 * DAY_MS, 0, 256), np.zeros(WIDTH, np.float32)
        contest.champion = "landmark"
        contest.keep(0, 0, replace(TrainerStore(FAST)._experts(), rolled=hazard(roll=roll)))
        steps = roll.aged(x[None])
        for place in range(1200):
            contest.judge(x, steps, DAY_MS, place % 2)
        contest.judge(x, steps, 9 * DAY_MS - 1, 1)
        assert contest.champion == "landmark"
        contest.judge(x, steps, 9 * DAY_MS, 1)
        assert contest.champion == "blend"

    def test_rolled_scores_do_not_depend_on_the_rows_beside_them(self):
        x = some_features(67)
        linear = ChurnScorer(1, np.ones(WIDTH), 0.0, np.zeros(WIDTH), 0.5, ready=True)
        scorer = replace(linear, rolled=hazard(), rolled_share=0.4)
        assert scorer.score_many(x).tolist() == [scorer.score_many(x[i : i + 1])[0] for i in range(len(x))]
