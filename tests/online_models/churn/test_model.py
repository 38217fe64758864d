import dataclasses

import numpy as np
import pytest
from river import linear_model, optim, preprocessing
from river.drift import ADWIN

from online_models import format_1, snapshots
from online_models.churn.drift import Adwin
from online_models.churn.features import FEATURE_NAMES, FEATURES_VERSION
from online_models.churn.labels import CHURN, HAZARD, ExampleBatch
from online_models.churn.model import LabelModel
from online_models.churn.scorer import ChurnScorer
from online_models.churn.settings import DAY_MS
from online_models.churn.trainer import TrainerSettings, TrainerStore
from online_models.errors import CorruptStateError, InvalidParameterError

WIDTH = len(FEATURE_NAMES)
FAST = TrainerSettings(min_labels=5, publish_every=40, window=256, daily_budget=10)


def examples(count, seed=0, flip_after=None):
    """Return examples whose label hangs on the first features, from some place on the other way round."""
    random = np.random.default_rng(seed)
    x = random.normal(3, 2, (count, WIDTH)).astype(np.float32)
    x[:, 5] = 1.0  # a feature that never varies
    odds = x[:, 0] - x[:, 1]
    if flip_after is not None:
        odds[flip_after:] *= -1
    return ExampleBatch(
        kind=np.where(random.random(count) < 0.5, CHURN, HAZARD).astype(np.int8),
        features=x,
        label=(random.random(count) < 1 / (1 + np.exp(-odds))).astype(np.int8),
        landmark_ms=np.arange(count) * DAY_MS // 50,
        matured_ms=np.arange(count) * DAY_MS // 50 + DAY_MS,
        subject=np.arange(1, count + 1).astype(np.uint64),
    )


def part(batch, start, stop):
    return ExampleBatch(*(getattr(batch, name)[start:stop] for name in ExampleBatch.__dataclass_fields__))


def trained(count=400):
    model, batch = LabelModel(), examples(count)
    for x, label in zip(batch.features, batch.label.tolist(), strict=True):
        model.learn_one(x, label)
    return model


class TestLabelModel:
    def test_it_learns_as_rivers_pipeline_does(self):
        pipeline = preprocessing.StandardScaler() | linear_model.LogisticRegression(optim.AdaGrad(0.05))
        model, batch = LabelModel(), examples(200)
        for x, label in zip(batch.features, batch.label.tolist(), strict=True):
            named = dict(zip(FEATURE_NAMES, x.tolist(), strict=True))
            assert model.predict_one(x) == pytest.approx(pipeline.predict_proba_one(named)[True], abs=1e-12)
            pipeline.learn_one(named, bool(label))
            model.learn_one(x, label)

    def test_it_finds_what_the_label_hangs_on(self):
        weights, _, _ = trained(2000).coefficients()
        assert set(np.argsort(-np.abs(weights))[:2].tolist()) == {0, 1}

    def test_a_restored_model_goes_on_bit_for_bit(self):
        model = trained()
        copy = LabelModel.from_state(snapshots.unpack("m", 1, snapshots.pack("m", 1, model.state())))
        more = examples(200, seed=9)
        for x, label in zip(more.features, more.label.tolist(), strict=True):
            assert copy.learn_one(x, label) == model.learn_one(x, label)
        assert copy.state() == model.state()

    @pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
    def test_a_feature_that_is_no_number_never_reaches_river(self, bad):
        model = trained()
        before = model.state() | {"skipped": 1}
        x = np.ones(WIDTH, np.float32)
        x[3] = bad
        assert model.learn_one(x, 1) is None
        assert model.state() == before

    def test_weights_go_by_name_a_new_feature_starts_at_nothing_and_a_gone_one_is_left_out(self):
        model, x = trained(400), examples(5, seed=5).features
        state = model.state()
        for table in ("counts", "means", "vars", "weights", "gradients"):
            del state[table]["carts_7d"]
            state[table]["of_old"] = 0.7
        copy = LabelModel.from_state(state)
        assert copy.state()["weights"] == {
            n: w for n, w in model.state()["weights"].items() if n != "carts_7d"
        }
        blind = x.copy()
        blind[:, FEATURE_NAMES.index("carts_7d")] = model.coefficients()[2][FEATURE_NAMES.index("carts_7d")]
        said = [copy.predict_one(row) for row in x]
        assert said == pytest.approx([model.predict_one(row) for row in blind], abs=1e-6)
        assert copy.learn_one(x[0], 1) == said[0]
        copy.learn_one(x[1], 0)  # a feature needs two values to have a spread
        assert copy.state()["weights"]["carts_7d"] != 0

    def test_another_question_keeps_the_weights_and_counts_from_nothing(self):
        model, x = trained(400), examples(5, seed=5).features
        said = [model.predict_one(row) for row in x]
        model.ask_anew()
        assert [model.predict_one(row) for row in x] == said
        assert (model.learned, model.positives, model.log_loss) == (0, 0, 0.0)


class TestScorer:
    def scorer(self, model):
        weights, bias, center = model.coefficients()
        return ChurnScorer(3, weights, bias, center, 0.6, ready=True, card={"churn_auc": 0.7})

    @pytest.mark.parametrize("labels", [0, 1, 400])
    def test_the_matrix_product_says_what_river_says(self, labels):
        model = trained(labels)
        x = examples(300, seed=5).features
        assert self.scorer(model).score_many(x) == pytest.approx(
            [model.predict_one(row) for row in x], abs=1e-9
        )

    def test_a_score_does_not_depend_on_the_rows_beside_it(self):
        scorer, x = self.scorer(trained()), examples(103, seed=5).features
        alone = [scorer.score_many(x[i : i + 1])[0] for i in range(len(x))]
        assert scorer.score_many(x).tolist() == alone
        assert scorer.score_many(x[::-1].copy()).tolist() == alone[::-1]

    def test_contributions_add_up_to_the_log_odds(self):
        scorer, x = self.scorer(trained()), examples(20, seed=5).features
        odds = scorer.contributions(x).sum(axis=1) + scorer.center @ scorer.weights + scorer.bias
        assert 1 / (1 + np.exp(-odds)) == pytest.approx(scorer.score_many(x), abs=1e-9)

    def test_it_survives_the_wire(self):
        scorer = self.scorer(trained())
        assert ChurnScorer.unpack(scorer.pack()).to_snapshot() == scorer.to_snapshot()

    def test_a_scorer_of_other_features_goes_by_their_names(self):
        scorer, x = self.scorer(trained(400)), examples(50, seed=5).features
        content, at = scorer.to_snapshot(), FEATURE_NAMES.index("trend")
        content["features"] = [*content["features"][::-1], "of_tomorrow"]
        for name in ("weights", "center"):
            content[name] = [*content[name][::-1], 2.0]
        named = ChurnScorer.from_snapshot(content)
        shifted = dataclasses.replace(scorer, bias=scorer.bias + 4.0)
        assert named.score_many(x).tolist() == shifted.score_many(x).tolist(), "as if all had its mean"
        for name in ("features", "weights", "center"):
            content[name] = [v for i, v in enumerate(scorer.to_snapshot()[name]) if i != at]
        assert ChurnScorer.from_snapshot(content).weights[at] == 0

    @pytest.mark.parametrize(
        "wrong",
        [
            {"features": ["one"]},
            {"weights": ["x"]},
            {"bias": None},
            {"center": 5},
            {"threshold": float("nan")},
        ],
    )
    def test_a_scorer_that_is_something_else_is_refused(self, wrong):
        with pytest.raises(CorruptStateError, match="churn-scorer"):
            ChurnScorer.from_snapshot(self.scorer(trained(1)).to_snapshot() | wrong)


class TestAdwin:
    def test_it_decides_as_rivers_does_value_by_value(self):
        random = np.random.default_rng(2)
        values = np.concatenate([random.gamma(2, level, 1500) for level in (0.3, 0.3, 0.5, 0.2, 0.9)])
        own, river = Adwin(), ADWIN()
        for value in values.tolist():
            found = own.update(value)
            river.update(value)
            assert found == river.drift_detected
            assert own.width == river.width

    def test_a_restored_detector_goes_on_as_if_nothing_had_happened(self):
        values = np.random.default_rng(3).random(900)
        values[450:] += 1
        whole = Adwin()
        changes = [whole.update(value) for value in values.tolist()]
        copy, again = Adwin(), []
        for value in values.tolist():
            copy = Adwin.from_state(snapshots.unpack("d", 1, snapshots.pack("d", 1, copy.state())))
            again.append(copy.update(value))
        assert again == changes
        assert any(changes)

    def test_it_says_in_which_direction(self):
        detector = Adwin()
        assert any(detector.update(float(i >= 300)) for i in range(600))
        assert detector.rising

    def test_confidence_is_a_share(self):
        with pytest.raises(InvalidParameterError, match=r"delta .* got 1"):
            Adwin(1)


class TestTrainer:
    def learn(self, store, batch, size):
        scorers, drifts = [], []
        for at in range(0, len(batch), size):
            effects = store.apply(part(batch, at, at + size))
            scorers += [scorer.pack() for scorer in effects.scorers]
            drifts += effects.drifts
        return scorers, drifts

    @pytest.mark.parametrize("size", [1, 7])
    def test_models_do_not_depend_on_where_batches_are_cut(self, size):
        batch, whole, pieces = examples(500), TrainerStore(FAST), TrainerStore(FAST)
        assert self.learn(pieces, batch, size) == self.learn(whole, batch, 500)
        assert pieces.dirty_rows() == whole.dirty_rows()

    def test_a_trainer_restored_after_any_checkpoint_goes_on_bit_for_bit(self):
        batch, whole = examples(700), TrainerStore(FAST)
        expected = self.learn(whole, batch, 90)[0]
        log, found = [], []
        for at in range(0, len(batch), 90):
            store = TrainerStore(FAST)
            store.restore(log)
            store.restored()
            found += self.learn(store, part(batch, at, at + 90), 90)[0]
            log += store.dirty_rows()
        assert found == expected
        assert store.card() == whole.card()

    def test_versions_count_from_one_and_models_are_ready_with_enough_of_both_classes(self):
        scorers = [ChurnScorer.unpack(data) for data in self.learn(TrainerStore(FAST), examples(500), 50)[0]]
        assert [scorer.version for scorer in scorers] == list(range(1, len(scorers) + 1))
        labels = [
            min(s.card["churn_positives"], s.card["churn_labels"] - s.card["churn_positives"])
            for s in scorers
        ]
        assert [scorer.ready for scorer in scorers] == [count >= 5 for count in labels]
        assert scorers[-1].ready

    def test_the_threshold_lets_about_the_budget_through(self):
        store, batch = TrainerStore(FAST), examples(1000)
        store.apply(batch)
        window = store._windows["churn"]
        kept = window._ring
        days = (kept["time_ms"].max() - kept["time_ms"].min()) / DAY_MS
        above = np.count_nonzero(kept["probability"] >= store.current().threshold)
        assert above / days == pytest.approx(10, rel=0.1)

    def test_when_the_world_turns_the_step_size_is_restored_and_a_drift_reported(self):
        drifts = self.learn(TrainerStore(FAST), examples(6000, flip_after=4000), 500)[1]
        assert {drift.kind for drift in drifts} <= {"churn", "hazard"}
        assert drifts
        assert min(drift.at_ms for drift in drifts) > 3900 * DAY_MS // 50

    def test_a_window_of_another_size_starts_afresh(self):
        store = TrainerStore(FAST)
        store.apply(examples(300))
        wider = TrainerStore(TrainerSettings(window=512))
        wider.restore(store.dirty_rows())
        wider.restored()
        assert wider.card()["churn_labels"] == store.card()["churn_labels"]
        assert "churn_window" not in wider.card()

    def test_nothing_learned_is_nothing_to_save(self):
        assert TrainerStore(FAST).dirty_rows() == []

    @pytest.mark.parametrize(
        "wrong", [{"learning_rate": 0}, {"min_labels": 0}, {"publish_every": 0}, {"daily_budget": -1}]
    )
    def test_a_wrong_setting_is_named(self, wrong):
        [(name, value)] = wrong.items()
        with pytest.raises(InvalidParameterError, match=f"{name} .* got {value}"):
            TrainerSettings(**wrong)


class TestExampleBatch:
    def test_it_survives_the_wire_byte_for_byte(self):
        batch = examples(20)
        assert ExampleBatch.unpack(batch.pack()).pack() == batch.pack()

    def test_nothing_is_an_empty_batch_of_the_right_shape(self):
        assert ExampleBatch.concat([]).features.shape == (0, WIDTH)

    def test_features_of_another_width_are_refused(self):
        batch = part(examples(3), 0, 3)
        narrow = ExampleBatch(batch.kind, batch.features[:, :4], *list(batch_columns(batch)))
        with pytest.raises(CorruptStateError, match="shape"):
            ExampleBatch.unpack(narrow.pack())

    def test_columns_of_several_lengths_are_refused(self):
        batch = examples(3)
        with pytest.raises(CorruptStateError, match="several lengths"):
            ExampleBatch.unpack(dataclasses.replace(batch, label=batch.label[:2]).pack())

    def test_features_of_another_release_go_by_their_names(self):
        batch = examples(3)
        content = snapshots.unpack("examples", FEATURES_VERSION, batch.pack())
        names = list(content["names"])
        kept = [names.index(name) for name in ("trend", "recency")]
        content |= {"names": ["of_tomorrow", "trend", "recency"], "features": batch.features[:, [0, *kept]]}
        found = ExampleBatch.unpack(snapshots.pack("examples", FEATURES_VERSION, content)).features
        assert found[:, kept].tolist() == batch.features[:, kept].tolist()
        assert not np.delete(found, kept, axis=1).any()

    def test_examples_that_do_not_name_their_features_are_of_the_first_release(self):
        batch = examples(3)
        content = snapshots.unpack("examples", FEATURES_VERSION, batch.pack())
        names = content.pop("names")
        order = [names.index(name) for name in format_1.FEATURES]
        content["features"] = batch.features[:, order]
        assert (
            ExampleBatch.unpack(snapshots.pack("examples", FEATURES_VERSION, content)).pack() == batch.pack()
        )


def batch_columns(batch):
    return batch.label, batch.landmark_ms, batch.matured_ms, batch.subject
