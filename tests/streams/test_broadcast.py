"""Models and rows of items as every worker reads them: whole, or the old ones stay."""

import dataclasses
import logging

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.churn.features import FEATURE_NAMES
from online_models.churn.scorer import SNAPSHOT_VERSION, ChurnScorer
from online_models.churn.settings import DAY_MS
from online_models.events import hash_id
from online_models.items.settings import CooccurrenceSettings
from streams.agents import documents
from streams.agents.broadcast import Broadcast
from streams.encode import encode_neighbours, encode_snapshot
from streams.schemas import ItemNeighbours, Partner

HORIZON_MS = 28 * DAY_MS


def broadcast():
    return Broadcast({}, "neighbours", "models", CooccurrenceSettings(), horizon_ms=HORIZON_MS)


def scorer(version=1, **changes):
    width = len(FEATURE_NAMES)
    weights = np.random.default_rng(version).normal(size=width)
    made = ChurnScorer(version, weights, -0.5, np.ones(width), 0.7, ready=True, horizon_ms=HORIZON_MS)
    return dataclasses.replace(made, **changes)


def model_row(version=1, **changes):
    return encode_snapshot(documents.model_snapshot(scorer(version, **changes), 1_700_000_000_000))


def item_row(name="sku-1", touches=3):
    partners = [Partner("sku-2", 1.5, 0.5, 0.25)]
    return encode_neighbours(
        [ItemNeighbours(name, 1_700_000_000_000, touches, 2.5, 1.0, partners, "shoes", 9.5)]
    )[0]


def damaged(data, value):
    """Return a value with a byte changed, or cut."""
    at = data.draw(st.integers(0, len(value) - 1))
    if data.draw(st.booleans()):
        return value[:at]
    return value[:at] + bytes([value[at] ^ data.draw(st.integers(1, 255))]) + value[at + 1 :]


class TestModels:
    def test_the_newest_is_in_use(self):
        found = broadcast()
        assert found.take_models([model_row(1), (b"churn", None), model_row(2)]) == []
        assert found.scorer.to_snapshot() == scorer(2).to_snapshot()
        assert found.snapshot.model_version == "churn-2"

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_a_damaged_one_is_refused_by_its_place_and_the_one_in_use_stays(self, data):
        found = broadcast()
        key, value = model_row(2)
        refused = found.take_models([model_row(1), (key, damaged(data, value))])
        if refused:
            assert [row.place for row in refused] == [1]
            assert found.scorer.to_snapshot() == scorer(1).to_snapshot()
        else:
            assert found.scorer.to_snapshot() == scorer(2).to_snapshot()

    def test_one_without_checksum_is_of_an_earlier_release_and_read(self):
        document = msgspec.json.decode(model_row(1)[1])
        del document["checksum"]
        del document["state"]["scorer"]["horizon_ms"]
        found = broadcast()
        assert found.take_models([(b"churn", msgspec.json.encode(document))]) == []
        assert found.scorer.ready

    def test_one_of_a_newer_release_is_refused_in_words(self):
        document = msgspec.json.decode(model_row(1)[1])
        newer = msgspec.json.encode(document | {"format": SNAPSHOT_VERSION + 1})
        [refused] = broadcast().take_models([(b"churn", newer)])
        assert f"churn-1 is of a newer release: format {SNAPSHOT_VERSION + 1}" in refused.reason

    def test_one_that_answers_for_another_horizon_scores_nobody(self, caplog):
        found = broadcast()
        with caplog.at_level(logging.WARNING):
            assert found.take_models([model_row(1, horizon_ms=14 * DAY_MS)]) == []
        assert not found.scorer.ready
        assert "scored by recency" in caplog.text


class TestItems:
    def test_of_an_item_the_newest_row_counts_be_it_a_deletion_or_not(self):
        found = broadcast()
        found.take_neighbours([(b"sku-1", None), item_row(touches=7)])
        rows = found.table.rows_of(np.array([hash_id("sku-1")], np.uint64))
        assert found.table.touches[rows].tolist() == [7]
        found.take_neighbours([item_row(touches=8), (b"sku-1", None)])
        assert found.table.touches[rows].tolist() == [0]

    @settings(max_examples=300, deadline=None)
    @given(st.data())
    def test_a_damaged_row_never_stops_the_others(self, data):
        found = broadcast()
        key, value = item_row("sku-1")
        refused = found.take_neighbours(
            [item_row("sku-0"), (key, damaged(data, value)), item_row("sku-3", 9)]
        )
        assert [row.place for row in refused] in ([], [1])
        rows = found.table.rows_of(np.array([hash_id("sku-0"), hash_id("sku-3")], np.uint64))
        assert found.table.touches[rows].tolist() == [3, 9]
        assert np.isfinite(found.table.neighbours(rows).weights).all()

    @pytest.mark.parametrize("row", [(b"\xff", None), (b"sku-1", b""), (b"sku-1", b'{"item_id":"\\ud800"}')])
    def test_what_is_no_row_is_refused_and_what_was_known_stays(self, row):
        found = broadcast()
        found.take_neighbours([item_row(touches=5)])
        assert len(found.take_neighbours([row])) == 1
        rows = found.table.rows_of(np.array([hash_id("sku-1")], np.uint64))
        assert found.table.touches[rows].tolist() == [5]
