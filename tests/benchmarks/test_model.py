"""The model of more events a second than one machine takes: products, and where they stop being linear."""

from dataclasses import replace

import pytest

from benchmarks.model import BUSY, Assumed, Model, model_table
from tests.benchmarks.figures import ours, parts

MEMORY = parts()["memory"]
GIVEN = Assumed("a shop", events=1e5, users=1e6, items=1e5)


def model(**changes):
    return Model.of(ours(), MEMORY, replace(GIVEN, **changes))


class TestModel:
    def test_workers_suffice_and_one_less_would_not(self):
        found = model()
        work = GIVEN.events * 80e-6
        assert found.workers * (BUSY - found.reading) >= work
        assert (found.workers - 1) * (BUSY - found.reading) < work

    def test_a_broadcast_that_takes_the_whole_core_leaves_no_workers(self):
        found = model(items=2e6)
        assert found.reading > BUSY
        assert (found.workers, found.requests, found.user_bytes) == (None, None, None)

    def test_without_a_broadcast_workers_grow_as_events_do(self):
        few, many = model(items=0.0), model(items=0.0, events=10 * GIVEN.events)
        assert many.workers == pytest.approx(10 * few.workers, abs=10)

    def test_requests_grow_faster_than_events_unless_pairs_keep_their_partitions(self):
        few, many = model(items=0.0), model(items=0.0, events=10 * GIVEN.events)
        assert many.requests > 50 * few.requests
        kept = model(items=0.0, events=10 * GIVEN.events, pair_partitions=few.partitions)
        assert kept.requests < 12 * few.requests

    def test_the_table_has_a_column_for_each_case_and_no_hole(self):
        lines = [line for line in model_table(ours(), MEMORY) if line.startswith("|")]
        assert {line.count("|") for line in lines} == {6}
        assert not any("None" in line or "nan" in line for line in lines)
