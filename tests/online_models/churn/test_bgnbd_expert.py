from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models import snapshots
from online_models.churn.bgnbd_expert import BgNbdExpert, OnlineBgNbd
from online_models.churn.contest import Contest
from online_models.churn.experts import BLEND, BLEND_INPUTS, EXPERTS, Experts
from online_models.churn.features import FEATURE_NAMES
from online_models.churn.hazard import BOUND
from online_models.churn.recursive import RecursiveLogistic
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import DAY_MS, BgNbdSettings
from online_models.churn.trainer import TrainerSettings, TrainerStore
from online_models.errors import CorruptStateError

WIDTH = len(FEATURE_NAMES)
STEP_MS = 7 * DAY_MS
PLACES = [FEATURE_NAMES.index(name) for name in ("sessions", "recency", "tenure")]
TRUTH = BgNbdSettings(r=1.4, alpha_days=8.0, a=0.1, b=9.0)


def histories(count, seed=0):
    """Return features of users of all kinds: sessions, days of silence, days since the first."""
    random = np.random.default_rng(seed)
    tenure = random.uniform(1, 200, count)
    x = np.zeros((count, WIDTH), np.float32)
    sessions, quiet = random.geometric(0.2, count) - 1, tenure * random.random(count) ** 2
    x[:, PLACES] = np.log1p(np.column_stack((sessions, np.where(sessions > 0, quiet, tenure), tenure)))
    return x


def came(x, seed=1):
    """Return who comes within a step where `TRUTH` holds."""
    silent = 1 / (1 + np.exp(-BgNbdExpert(TRUTH, STEP_MS).log_odds(x)))
    return (np.random.default_rng(seed).random(len(x)) > silent).astype(int)


def learned(x, model=None):
    model = model or OnlineBgNbd(BgNbdSettings(), STEP_MS)
    for row, active in zip(x, came(x).tolist(), strict=True):
        model.learn_one(row, active)
    return model


class TestOnlineBgNbd:
    def test_it_comes_to_say_what_is_true_from_wrong_parameters(self):
        x, ahead_ms = histories(1_500), 28 * DAY_MS
        asked = histories(500, seed=5)
        wanted = BgNbdExpert(TRUTH, ahead_ms).log_odds(asked)
        before = OnlineBgNbd(BgNbdSettings(), STEP_MS).expert(ahead_ms).log_odds(asked)
        after = learned(x).expert(ahead_ms).log_odds(asked)
        assert np.abs(after - wanted).mean() < np.abs(before - wanted).mean() / 3

    @pytest.mark.parametrize("cut", [1, 150])
    def test_a_restored_one_goes_on_bit_for_bit(self, cut):
        x, active = histories(300), came(histories(300)).tolist()
        whole, first, second = (OnlineBgNbd(BgNbdSettings(), STEP_MS) for _ in range(3))
        for at, row in enumerate(x):
            whole.learn_one(row, active[at])
            (first if at < cut else second).learn_one(row, active[at])
            if at == cut - 1:
                second.restore(snapshots.unpack("m", 1, snapshots.pack("m", 1, first.state())))
        assert snapshots.pack("m", 1, second.state()) == snapshots.pack("m", 1, whole.state())

    @given(
        st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=3, max_size=3),
        st.integers(0, 1),
    )
    def test_no_input_however_odd_breaks_it(self, values, active):
        model, x = OnlineBgNbd(BgNbdSettings(), STEP_MS), np.zeros(WIDTH, np.float32)
        x[PLACES] = values
        for _ in range(3):
            model.learn_one(x, active)
            model.learn_one(x, 1 - active)
        odds = model.expert(STEP_MS).log_odds(x[None])
        assert np.isfinite(odds).all()
        assert np.abs(odds).max() <= BOUND

    @pytest.mark.parametrize(
        "wrong",
        [{"logarithms": np.array([0.0, np.nan, 0.0, 0.0])}, {"covariance": np.zeros(3)}, {"names": []}],
    )
    def test_what_is_no_model_is_not_restored(self, wrong):
        model = OnlineBgNbd(BgNbdSettings(), STEP_MS)
        with pytest.raises(CorruptStateError, match="BG/NBD"):
            model.restore(model.state() | wrong)


class TestAmongTheExperts:
    def experts(self):
        blend = np.array([0.2, 0.2, 0.2, 0.4, 0.1])
        start = TrainerStore(TrainerSettings(window=256))._experts()
        return replace(start, blend=blend, bgnbd=BgNbdExpert(TRUTH, 28 * DAY_MS), champion=BLEND)

    def scorer(self):
        experts = self.experts()
        weights, bias, rolled_share, bgnbd_share = experts.champion_parts()
        plain = ChurnScorer(1, weights, bias, np.full(WIDTH, 0.5), 0.5, ready=True)
        rolled = replace(plain, rolled=experts.rolled, rolled_share=rolled_share)
        return replace(rolled, bgnbd=experts.bgnbd, bgnbd_share=bgnbd_share)

    def test_what_is_served_is_what_is_judged(self):
        x, experts = histories(40), self.experts()
        judged = experts.log_odds(x, experts.rolled.roll.aged(x))[:, -1]
        assert self.scorer().log_odds(x) == pytest.approx(judged)

    def test_contributions_add_up_and_fall_to_the_feature_of_the_name(self):
        x, scorer = histories(40), self.scorer()
        center = scorer.log_odds(scorer.center[None])[0]
        found = scorer.contributions(x)
        assert found.sum(axis=1) + center == pytest.approx(scorer.log_odds(x), abs=1e-9)
        without = replace(scorer, bgnbd_share=0.0).contributions(x)
        assert [FEATURE_NAMES[i] for i in np.flatnonzero((found != without).any(axis=0))] == ["bgnbd"]

    def test_scores_do_not_depend_on_the_rows_beside_them(self):
        x, scorer = histories(67), self.scorer()
        assert scorer.score_many(x).tolist() == [scorer.score_many(x[i : i + 1])[0] for i in range(len(x))]

    def test_it_survives_every_snapshot(self):
        x, scorer, experts = histories(10), self.scorer(), self.experts()
        assert ChurnScorer.unpack(scorer.pack()).pack() == scorer.pack()
        saved = snapshots.unpack("e", 1, snapshots.pack("e", 1, experts.to_snapshot()))
        steps = experts.rolled.roll.aged(x)
        assert Experts.from_snapshot(saved).log_odds(x, steps).tolist() == experts.log_odds(x, steps).tolist()

    def test_models_kept_by_a_release_without_it_leave_it_out(self):
        saved = self.experts().to_snapshot() | {"blend": np.array([0.3, 0.3, 0.4, 0.1])}
        del saved["bgnbd"], saved["inputs"]
        experts = Experts.from_snapshot(saved)
        assert dict(zip(BLEND_INPUTS, experts.blend.tolist(), strict=True)) == {
            "landmark": 0.3,
            "newton": 0.3,
            "rolled": 0.4,
            "bgnbd": 0.0,
            "constant": 0.1,
        }

    def test_a_blend_that_did_not_know_it_goes_on_and_gives_it_a_share_only_by_learning(self):
        contest = Contest(28 * DAY_MS, 0, 256)
        former = RecursiveLogistic([name for name in BLEND_INPUTS if name != "bgnbd"], mean=np.full(4, 0.3))
        contest.restore(contest.state() | {"blend": former.state()})
        assert contest.blend.weights.tolist() == [0.3, 0.3, 0.3, 0.0, 0.3]
        contest.blend.learn_one(np.ones(len(EXPERTS) + 1), 1)
        assert contest.blend.weights[3] > 0
