"""The learned ranker starts as the base ranker, learns set by set, and goes on exactly after a restart."""

import dataclasses
import json
from itertools import pairwise

import numpy as np
import pytest

from online_models import snapshots
from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.items.features import RANK_FEATURES
from online_models.items.network import FrozenRanker, RankNetwork
from online_models.items.rank_examples import RankExamples
from online_models.items.rank_trainer import STATE_ROW, RankTrainerSettings, RankTrainerStore
from online_models.items.ranker import BaseRanker
from online_models.journal import Journal

WIDTH = len(RANK_FEATURES)
SMALL = RankTrainerSettings(min_sets=20, publish_every=50)


def drawn(seed, sets=120):
    """Return sets in which a product of two features decides, so that no linear score is right."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(5, 40, sets)
    start = np.concatenate(([0], np.cumsum(sizes)))
    features = rng.normal(0, 1, (start[-1], WIDTH)).astype(np.float16).astype(np.float32)
    value = features[:, 0] * features[:, 15]
    target = np.array([value[a:b].argmax() for a, b in pairwise(start)])
    target[rng.random(sets) < 0.1] = -1
    shown_at = rng.integers(0, 30, sets)
    return RankExamples(start, target, np.arange(sets) * 1000, features, shown_at)


def trained(examples, size):
    store, published = RankTrainerStore(SMALL), []
    for begin in range(0, len(examples), size):
        published += store.apply(examples.take(begin, min(begin + size, len(examples))))
    return store, published


def numbers(network):
    state = network.state()
    return [part.tolist() for layer in ("layers", "squares") for part in state[layer].values()]


class TestNetwork:
    def test_starts_as_the_base_ranker(self):
        features = np.random.default_rng(2).normal(0, 1, (50, WIDTH)).astype(np.float32)
        expected = BaseRanker().score_many(features)
        np.testing.assert_allclose(RankNetwork().score_many(features), expected, rtol=1e-5, atol=1e-5)

    def test_learns_what_no_linear_score_can(self):
        network, places = RankNetwork(), []
        for features, target, _ in drawn(3, 4_000).sets():
            if target >= 0:
                scores = network.learn_one(features, target)
                places.append(int((scores > scores[target]).sum()))
        assert np.mean(np.array(places[-500:]) < 3) > 0.7
        linear = np.argsort(-np.random.default_rng(1).random((500, 22)), axis=1)
        assert np.mean(linear[:, 0] < 3) < 0.3

    def test_a_step_follows_the_gradient_of_the_cross_entropy(self):
        features, target, _ = next(drawn(4).sets())
        network = RankNetwork(hidden=3)
        network.layers.outer[:] = [0.5, -0.3, 0.2]

        def loss(layers):
            active = np.maximum(features @ layers.inner + layers.threshold, 0)
            scores = features @ layers.direct + active @ layers.outer
            return np.log(np.exp(scores - scores[target]).sum())

        before = [part.copy() for part in network.layers]
        network.learn_one(features, target)
        for number, part in enumerate(before):
            place = np.unravel_index(part.size // 2, part.shape)
            ahead = [one.copy() for one in before]
            ahead[number][place] += 1e-5
            behind = [one.copy() for one in before]
            behind[number][place] -= 1e-5
            kind = type(network.layers)
            slope = (loss(kind(*ahead)) - loss(kind(*behind))) / 2e-5
            step = -0.1 * slope / np.sqrt(0.01 + slope**2)
            assert network.layers[number][place] - part[place] == pytest.approx(step, rel=1e-3, abs=1e-7)

    def test_a_touch_that_counts_half_makes_half_the_gradient(self):
        features, target, _ = next(drawn(4).sets())
        whole, half = RankNetwork(), RankNetwork()
        for network, weight in ((whole, 1.0), (half, 0.5)):
            network.learn_one(features, target, weight)
        ahead = [np.sqrt(network._squares.direct - 0.01) for network in (whole, half)]
        np.testing.assert_allclose(ahead[1], 0.5 * ahead[0], rtol=1e-9)

    def test_frozen_it_scores_alike_and_stays_as_it_is(self):
        network = RankNetwork()
        examples = drawn(5)
        for features, target, _ in examples.sets():
            network.learn_one(features, max(target, 0))
        frozen = network.frozen()
        expected = network.score_many(examples.features)
        np.testing.assert_allclose(frozen.score_many(examples.features), expected, rtol=1e-3, atol=1e-3)
        network.learn_one(examples.features[:9], 2)
        again = FrozenRanker.from_snapshot(json.loads(json.dumps(frozen.to_snapshot())))
        np.testing.assert_array_equal(
            again.score_many(examples.features), frozen.score_many(examples.features)
        )

    def test_features_go_by_their_names(self):
        network = RankNetwork()
        content = network.frozen().to_snapshot()
        order = list(reversed(range(WIDTH)))
        content["features"] = [RANK_FEATURES[i] for i in order[1:]] + ["gone"]
        for name in ("inner", "direct"):
            rows = content["layers"][name]
            content["layers"][name] = [rows[i] for i in order[1:]] + [rows[0]]
        features = np.random.default_rng(2).normal(0, 1, (9, WIDTH)).astype(np.float32)
        found = FrozenRanker.from_snapshot(content)
        np.testing.assert_allclose(
            found.score_many(features), network.score_many(features), rtol=1e-4, atol=1e-4
        )

    @pytest.mark.parametrize("wrong", [float("nan"), float("inf"), 1e9])
    def test_weights_that_are_no_numbers_are_refused(self, wrong):
        content = RankNetwork().frozen().to_snapshot()
        content["layers"]["outer"][0] = wrong
        with pytest.raises(CorruptStateError, match="no numbers"):
            FrozenRanker.from_snapshot(content)

    @pytest.mark.parametrize(("name", "value"), [("hidden", 0), ("learning_rate", 0.0)])
    def test_parameters_are_named(self, name, value):
        with pytest.raises(InvalidParameterError, match=f"{name}.*{value}"):
            RankNetwork(**{name: value})


class TestStore:
    @pytest.mark.parametrize("size", [1, 7, 1000])
    def test_batches_do_not_matter(self, size):
        whole, published = trained(drawn(6), 1000)
        parts, also = trained(drawn(6), size)
        assert numbers(parts.network) == numbers(whole.network)
        assert parts.card() == whole.card()
        assert [one._replace(ranker=None) for one in also] == [one._replace(ranker=None) for one in published]
        assert [one.sets for one in published] == [20, 40, 60, 80, 100]

    @pytest.mark.parametrize("at", [1, 50, 119])
    def test_restored_it_goes_on_bit_for_bit(self, at):
        examples = drawn(7)
        store = RankTrainerStore(SMALL)
        store.apply(examples.take(0, at))
        rows = store.dirty_rows()
        assert store.dirty_rows() == []
        again = RankTrainerStore(SMALL)
        again.restore(rows)
        again.restored()
        rest = examples.take(at, len(examples))
        published = [store.apply(rest), again.apply(rest)]
        assert numbers(again.network) == numbers(store.network)
        assert again.card() == store.card()
        assert [one.version for one in published[0]] == [one.version for one in published[1]]
        assert opened(again) == opened(store)

    def test_measures_are_taken_before_learning(self):
        store = RankTrainerStore(SMALL)
        examples = drawn(8, sets=1)
        store.apply(dataclasses.replace(examples, target=np.array([3])))
        scores = BaseRanker().score_many(examples.features)
        place = int((scores >= scores[3]).sum())
        card = store.card()
        assert card["mrr"] == card["base_mrr"] == pytest.approx(1 / place if place <= 20 else 0.0)
        assert (card["sets"], card["recall"]) == (1.0, 1.0)

    def test_a_target_that_was_no_candidate_is_a_miss_and_not_learned(self):
        store = RankTrainerStore(SMALL)
        before = numbers(store.network)
        store.apply(dataclasses.replace(drawn(8, sets=2), target=np.array([-1, -1])))
        assert numbers(store.network) == before
        assert store.card()["hit_rate"] == store.card()["recall"] == 0.0
        assert store.card()["skipped"] == 2.0

    def test_a_touch_that_a_list_may_have_brought_about_counts_less(self):
        examples = drawn(8, sets=1)
        moved = {}
        for place in (0, 1, 20):
            store = RankTrainerStore(SMALL)
            store.learn_one(examples.features, 3, place)
            assert store.card()["from_lists"] == float(place > 0)
            moved[place] = store.network._squares.direct.max() - 0.01
        assert moved[1] < moved[20] < moved[0]
        assert moved[1] == pytest.approx(0.25 * moved[0])
        alike = RankTrainerStore(dataclasses.replace(SMALL, shown_lift=0.0))
        alike.learn_one(examples.features, 3, 1)
        assert alike.network._squares.direct.max() - 0.01 == moved[0]

    def test_a_negative_lift_is_refused(self):
        with pytest.raises(InvalidParameterError, match="shown_lift must be at least 0, got -1"):
            RankTrainerSettings(shown_lift=-1.0)

    def test_rows_of_another_kind_and_broken_ones_are_refused(self):
        store = RankTrainerStore(SMALL)
        for rows in ([(b"else", b"x")], [(STATE_ROW, snapshots.pack("ranker", 1, {"version": 1}))]):
            with pytest.raises(CorruptStateError):
                store.restore(Journal().seal(rows))

    @pytest.mark.parametrize("name", ["learning_rate", "hidden", "min_sets", "publish_every", "half_life"])
    def test_settings_name_the_parameter(self, name):
        with pytest.raises(InvalidParameterError, match=name):
            RankTrainerSettings(**{name: 0})


class TestExamples:
    def test_survive_the_journey(self):
        examples = drawn(9)
        again = RankExamples.unpack(examples.pack())
        for name in ("start", "target", "time_ms", "features", "shown_at"):
            np.testing.assert_array_equal(getattr(again, name), getattr(examples, name))

    def test_stretches_make_up_the_whole(self):
        examples = drawn(10)
        parts = [examples.take(0, 7), examples.take(7, 7), examples.take(7, 120)]
        assert RankExamples.concat(parts).pack() == examples.pack()
        assert len(RankExamples.concat([])) == 0

    @pytest.mark.parametrize(
        "damage", [{"target": np.array([99, 0])}, {"start": np.array([0, 5, 3])}, {"features": [[1]]}]
    )
    def test_damaged_ones_are_refused(self, damage):
        content = snapshots.unpack("rank-examples", 1, drawn(11, sets=2).pack())
        with pytest.raises(CorruptStateError):
            RankExamples.unpack(snapshots.pack("rank-examples", 1, content | damage))


def opened(store):
    return dict(Journal().open(store.dirty_rows()))
