"""What the ranker of an earlier release has left behind is taken over, whatever features there are by now."""

import gzip
import json

import numpy as np
import pytest

from online_models.items import network, rank_examples
from online_models.items.features import RANK_FEATURES
from online_models.items.network import FrozenRanker
from online_models.items.rank_examples import RankExamples
from online_models.items.rank_trainer import RankTrainerStore
from tests.fixtures.write_ranker import HERE, SETTINGS

FIXTURES = sorted(HERE.glob("ranker-*.json.gz"))


@pytest.fixture(params=FIXTURES, ids=lambda file: file.name)
def fixture(request):
    return json.loads(gzip.decompress(request.param.read_bytes()))


def restored(fixture):
    store = RankTrainerStore(SETTINGS)
    store.restore([(bytes.fromhex(key), value and bytes.fromhex(value)) for key, value in fixture["rows"]])
    store.restored()
    return store


def by_name(expected):
    """Return the cases with a column for every present feature, 0 where the release knew none."""
    cases = np.zeros((len(expected["cases"]), len(RANK_FEATURES)), np.float32)
    for column, name in enumerate(expected["names"]):
        if name in RANK_FEATURES:
            cases[:, RANK_FEATURES.index(name)] = np.array(expected["cases"])[:, column]
    return cases


def test_there_is_a_fixture():
    assert FIXTURES


def test_the_network_and_its_measures_are_what_they_were(fixture):
    store, expected = restored(fixture), fixture["expected"]
    assert store.version == expected["version"] > 0
    assert {name: store.card()[name] for name in expected["card"]} == pytest.approx(expected["card"])
    assert store.network.score_many(by_name(expected)) == pytest.approx(expected["scores"])


def test_it_goes_on_with_sets_that_were_on_their_way(fixture):
    store, expected = restored(fixture), fixture["expected"]
    examples = RankExamples.unpack(bytes.fromhex(fixture["examples"]))
    assert examples.target.tolist() == expected["target"]
    store.apply(examples)
    assert store.network.score_many(by_name(expected)) == pytest.approx(expected["later"])


def test_a_published_ranker_ranks_as_it_did(fixture):
    expected = fixture["expected"]
    ranker = FrozenRanker.from_snapshot(fixture["snapshot"])
    assert ranker.score_many(by_name(expected)) == pytest.approx(expected["published_scores"], rel=1e-4)


def test_features_go_by_their_names_when_some_are_gone_and_others_new(fixture, monkeypatch):
    """A release that computes another selection, in another order, keeps what was learned of the rest."""
    cases, gone = by_name(fixture["expected"]), RANK_FEATURES[3]
    cases[:, 3] = 0.0
    before = restored(fixture).network.score_many(cases)
    names = (*(name for name in RANK_FEATURES[::-1] if name != gone), "brand_new")
    for module in (network, rank_examples):
        monkeypatch.setattr(module, "RANK_FEATURES", names)
    monkeypatch.setattr(network, "BASE_WEIGHTS", network.BASE_WEIGHTS | {"brand_new": 0.0})
    other = np.zeros((len(cases), len(names)), np.float32)
    for column, name in enumerate(names[:-1]):
        other[:, column] = cases[:, RANK_FEATURES.index(name)]
    assert restored(fixture).network.score_many(other) == pytest.approx(before)
