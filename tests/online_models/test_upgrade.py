"""What an earlier release has written is restored whole, and goes on as if nothing had happened."""

import gzip
import json

import numpy as np
import pytest

from online_models.churn.features import FEATURE_NAMES
from online_models.churn.labels import EXAMPLE_KINDS
from tests.fixtures.write_state import HERE, STORES, Shop

FIXTURES = sorted(HERE.glob("state-*.jsonl.gz"))


def read(file):
    """Return the rows of every store, and what was true of the stores that wrote them."""
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).splitlines()]
    rows = {name: [] for name in STORES}
    for line in lines[:-1]:
        value = None if line["value"] is None else bytes.fromhex(line["value"])
        rows[line["store"]].append((bytes.fromhex(line["key"]), value))
    return rows, lines[-1]["expected"]


def restored(rows, chunk=1_000):
    shop = Shop()
    for name in STORES:
        store = getattr(shop, name)
        for start in range(0, len(rows[name]), chunk):
            store.restore(rows[name][start : start + chunk])
        store.restored()
    return shop


def alike(found, expected):
    """Compare facts; a later release may know more of a user, and sums may round otherwise."""
    if isinstance(expected, dict):
        assert expected.keys() <= found.keys()
        for key in expected:
            alike(found[key], expected[key])
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            alike(one, other)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-6, nan_ok=True)
    else:
        assert found == expected


def exact(facts):
    """Return what no release may count otherwise; scores depend on the features that one computes."""
    users = {
        name: {key: value for key, value in user.items() if not key.startswith(("score", "alert"))}
        for name, user in facts["users"].items()
    }
    counts = {
        key: value for key, value in facts["model"]["card"].items() if key.endswith(("labels", "positives"))
    }
    return {"users": users, "items": facts["items"], "clock": facts["clock"][:2], "labels": counts}


@pytest.fixture(params=FIXTURES, ids=lambda file: file.name)
def fixture(request):
    return read(request.param)


def test_there_is_a_fixture():
    assert FIXTURES


@pytest.mark.parametrize("chunk", [1, 7, 1_000])
def test_users_items_and_models_are_what_they_were(fixture, chunk):
    rows, expected = fixture
    shop = restored(rows, chunk)
    alike(shop.facts(), expected["facts"])
    for case in expected["predictions"]:
        x = np.array([case["features"].get(name, 0.0) for name in FEATURE_NAMES], np.float32)
        kind = EXAMPLE_KINDS.index(case["kind"])
        assert shop.trainer.predict_one(kind, x) == pytest.approx(case["probability"], rel=1e-6)
        assert shop.trainer.current().score_many(x[None])[0] == pytest.approx(case["score"], rel=1e-6)


def test_frozen_features_wait_on_for_their_labels(fixture):
    rows, expected = fixture
    found = restored(rows).pending()
    assert len(found) > 5
    for example, other in zip(found, expected["pending"], strict=True):
        known = {name: example["features"][name] for name in other["features"] if name in FEATURE_NAMES}
        assert {**example, "features": known} == {**other, "features": known}
        assert known == {name: other["features"][name] for name in known}


def test_they_go_on_with_events_as_if_nothing_had_happened(fixture):
    rows, expected = fixture
    shop = restored(rows)
    shop.apply(100, 150)
    alike(exact(shop.facts()), exact(expected["later"]))


def test_what_was_restored_is_written_in_the_present_format_when_it_changes_and_read_again(fixture):
    rows, expected = fixture
    shop = restored(rows)
    assert list(shop.dirty_rows()) == [], "nothing is rewritten for its format's sake"
    shop.apply(100, 150)
    for name, row in shop.dirty_rows():
        rows[name].append(row)
    again = restored(rows, chunk=5)
    alike(exact(again.facts()), exact(expected["later"]))


def test_a_compacted_log_is_as_good(fixture):
    rows, expected = fixture
    shop = restored(rows)
    shop.apply(100, 150)
    for name, row in shop.dirty_rows():
        rows[name].append(row)
    compacted = {}
    for name, log in rows.items():
        last = {key: place for place, (key, _) in enumerate(log)}
        compacted[name] = [row for place, row in enumerate(log) if last[row[0]] == place]
        assert len(compacted[name]) < len(log)
    alike(exact(restored(compacted, chunk=3).facts()), exact(expected["later"]))
