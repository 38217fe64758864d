"""Live accumulators: equal to their definition, however the outcomes are cut, and after a round trip."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.evaluation import classification
from online_models.evaluation.prequential import FadingMeans, FadingRanking, WindowedProbabilities

numbers = st.lists(st.floats(-5, 5), min_size=1, max_size=40)


def round_trip(accumulator):
    packed = msgspec.msgpack.encode(accumulator.state())
    return type(accumulator).from_state(msgspec.msgpack.decode(packed))


class TestFadingMeans:
    @given(numbers, st.sampled_from([0.5, 3.0, 100.0, float("inf")]), st.integers(0, 40))
    def test_every_outcome_loses_half_its_weight_in_a_half_life(self, values, half_life, cut):
        means = FadingMeans(["x"], half_life)
        column = np.array(values)[:, np.newaxis]
        means.update(column[:cut])
        means = round_trip(means)
        means.update(column[cut:])
        weights = [0.5 ** ((len(values) - 1 - i) / half_life) for i in range(len(values))]
        assert means.get()["x"] == pytest.approx(np.average(values, weights=weights), abs=1e-9)
        assert means.count == len(values)

    def test_half_life_is_checked(self):
        with pytest.raises(InvalidParameterError, match="half_life must be positive, got 0"):
            FadingMeans(["x"], half_life=0)


class TestFadingRanking:
    def test_follows_a_change_that_a_plain_mean_would_hide(self):
        ranking = FadingRanking(cutoffs=(20,), half_life=10)
        ranking.update(np.full(1000, -1))
        ranking.update(np.zeros(100, dtype=np.int64))
        assert round_trip(ranking).get()["hit_rate@20"] > 0.99

    @given(st.lists(st.integers(-1, 30), min_size=1, max_size=50))
    def test_survives_a_round_trip(self, ranks):
        ranking = FadingRanking(half_life=7)
        ranking.update(np.array(ranks))
        again = round_trip(ranking)
        assert again.get() == ranking.get()
        assert again.cutoffs == ranking.cutoffs
        assert again.count == len(ranks)


class TestWindowedProbabilities:
    @given(
        st.lists(st.tuples(st.booleans(), st.floats(0, 1)), min_size=1, max_size=60),
        st.integers(1, 50),
        st.integers(0, 60),
    )
    def test_judges_exactly_the_last_outcomes(self, rows, size, cut):
        labels = np.array([row[0] for row in rows], dtype=np.int8)
        probabilities = np.array([row[1] for row in rows])
        window = WindowedProbabilities(size)
        window.update(labels[:cut], probabilities[:cut])
        window = round_trip(window)
        window.update(labels[cut:], probabilities[cut:])
        last, given_before = labels[-size:], probabilities[-size:]
        found = window.get()
        assert found["auc"] == pytest.approx(classification.auc(last, given_before), nan_ok=True)
        assert found["log_loss"] == classification.log_loss(last, given_before)
        assert found["base_rate"] == last.mean()
        assert window.count == len(rows)


class TestCorruptState:
    @pytest.mark.parametrize("kind", [FadingMeans(["x"]), FadingRanking(), WindowedProbabilities(5)])
    def test_a_missing_key_is_named(self, kind):
        state = kind.state()
        state.popitem()
        with pytest.raises(CorruptStateError):
            type(kind).from_state(state)

    def test_columns_of_the_wrong_length_are_refused(self):
        window = WindowedProbabilities(5)
        window.update(np.array([1, 0]), np.array([0.5, 0.5]))
        with pytest.raises(CorruptStateError, match="2 labels, 4 were counted"):
            WindowedProbabilities.from_state(window.state() | {"count": 4})
