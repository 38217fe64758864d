import numpy as np
import pytest

from online_models import snapshots
from online_models.churn.feature_drift import WATCHED, FeatureWatch
from online_models.churn.features import FEATURE_NAMES
from online_models.churn.labels import HAZARD, ExampleBatch
from online_models.churn.settings import DAY_MS
from online_models.churn.trainer import TrainerSettings, TrainerStore
from online_models.errors import CorruptStateError

AT = {name: place for place, name in enumerate(FEATURE_NAMES)}
ONE_SCALE = 1024


def rows(count, seed=0):
    return np.random.default_rng(seed).normal(3, 2, (count, len(FEATURE_NAMES))).astype(np.float32)


def watched(x, watch=None, start=0):
    watch = watch or FeatureWatch()
    return watch, [drift for at, row in enumerate(x, start) for drift in watch.update(row, at)]


class TestFeatureWatch:
    def test_users_who_stay_as_they_are_raise_nothing(self):
        watch, found = watched(rows(12_000))
        assert found == []
        assert watch.card()["drifts"] == 0

    @pytest.mark.parametrize("step", [1.2, -1.2])
    def test_a_moved_mean_is_named_with_its_direction_and_size(self, step):
        x = rows(9_000)
        x[5_000:, AT["activity_7d"]] += step
        watch, found = watched(x)
        assert {drift.feature for drift in found} == {"activity_7d"}
        assert found[0].at_ms > 5_000
        assert all(drift.moved * step > 0 for drift in found)
        assert 0.2 < sum(abs(drift.moved) for drift in found) < abs(step) / 2 + 0.1
        assert watch.card()["activity_7d_drifts"] == watch.card()["drifts"] == len(found)

    def test_features_are_on_one_scale_whatever_their_unit(self):
        x = rows(9_000)
        x[5_000:, AT["recency"]] += 2
        larger = x.copy()
        larger[:, AT["recency"]] *= 1000
        assert [drift.at_ms for drift in watched(x)[1]] == [drift.at_ms for drift in watched(larger)[1]]

    def test_a_feature_that_never_varied_is_left_alone(self):
        x = rows(6_000)
        x[:, AT["rating_last"]] = 3
        x[4_000:, AT["rating_last"]] = 4
        assert watched(x)[1] == []

    @pytest.mark.parametrize("cut", [1, ONE_SCALE - 1, ONE_SCALE, ONE_SCALE + 7, 5_900])
    def test_a_restored_one_goes_on_bit_for_bit(self, cut):
        x = rows(8_000)
        x[5_000:, AT["recency"]] += 2
        whole, expected = watched(x)
        first, before = watched(x[:cut])
        saved = snapshots.pack("watch", 1, first.state())
        second = FeatureWatch()
        second.restore(snapshots.unpack("watch", 1, saved))
        second, after = watched(x[cut:], second, cut)
        assert before + after == expected != []
        assert snapshots.pack("watch", 1, second.state()) == snapshots.pack("watch", 1, whole.state())

    def test_what_it_keeps_does_not_grow_with_the_rows(self):
        size = [len(snapshots.pack("watch", 1, watched(rows(count))[0].state())) for count in (4_000, 32_000)]
        assert size[1] < 3 * size[0]

    def test_a_release_that_watches_other_features_begins_anew(self):
        state = watched(rows(3_000))[0].state()
        state["features"]["of_tomorrow"] = state["features"].pop(WATCHED[0])
        watch = FeatureWatch()
        watch.restore(state)
        assert watch.state() == FeatureWatch().state()

    def test_numbers_that_are_none_are_refused(self):
        state = watched(rows(3_000))[0].state()
        state["features"][WATCHED[0]]["mean"] = float("nan")
        with pytest.raises(CorruptStateError, match="no numbers"):
            FeatureWatch().restore(state)


class TestInTheTrainer:
    def examples(self, count=4_200):
        x = rows(count)
        x[2_000:, AT["spend_30d"]] += 4
        return ExampleBatch(
            kind=np.full(count, HAZARD, np.int8),
            features=x,
            label=(np.arange(count) % 2).astype(np.int8),
            landmark_ms=np.arange(count) * DAY_MS // 50,
            matured_ms=np.arange(count) * DAY_MS // 50 + 7 * DAY_MS,
            subject=np.arange(1, count + 1).astype(np.uint64),
        )

    def test_what_users_do_is_seen_with_the_youngest_labels_and_shown_in_the_card(self):
        store = TrainerStore(TrainerSettings(window=256))
        batch = self.examples()
        drifts = store.apply(batch).feature_drifts
        assert {drift.feature for drift in drifts} == {"spend_30d"}
        assert batch.matured_ms[2_000] < drifts[0].at_ms
        assert store.card()["features_spend_30d_drifts"] == store.card()["features_drifts"] == len(drifts)
