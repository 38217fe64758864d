import json
from dataclasses import replace

import pytest

from online_models.evaluation.live_lists import LiveLists
from online_models.items.recommender import Recommender
from streams.agents.broadcast import Broadcast
from streams.agents.users import UsersHandler, UsersTopics
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.metrics import Metrics
from tests.online_models.churn.workload import BOUNDED, DAY_MS, HOUR_MS, SMALL, START_MS
from tests.streams.agents.test_items import SETTINGS

TOPICS = UsersTopics("events", "dlq", "pairs", "examples", "rank-examples", "scores", "alerts", "lists")


class Shop:
    """A handler with its log."""

    def __init__(self, settings=SMALL, **options):
        self.metrics = Metrics()
        self.handler = UsersHandler(
            replace(settings, **options),
            decoder=Decoder(),
            recommender=Recommender(),
            list_length=5,
            partition=2,
            partitions=4,
            topics=TOPICS,
            broadcast=Broadcast(
                {"bootstrap.servers": "127.0.0.1:1"},
                "neighbours",
                "models",
                SETTINGS,
                horizon_ms=SMALL.horizon_ms,
            ),
            live=LiveLists(),
            report=self.metrics,
        )
        self.offset = 0

    def record(self, name, user, at_ms=START_MS, *, key=None, **fields):
        self.offset += 1
        event = {"event_id": f"e{self.offset}", "event_name": name, "event_time": at_ms} | fields
        event |= {"anonymous_id": user[2:]} if user.startswith("a:") else {"user_id": user}
        # Nothing lies in the future of a record that was written at the end of time.
        return Record(self.offset, START_MS + 10_000 * DAY_MS, key, json.dumps(event).encode())

    def apply(self, *records):
        return self.handler.apply(records)


def scores_of(outputs):
    return [(o.key, o.value is not None) for o in outputs if o.topic == "scores"]


class TestScores:
    def test_an_evicted_user_s_score_is_deleted(self):
        shop = Shop(BOUNDED)
        shop.apply(shop.record("login", "ann"))
        found = scores_of(shop.apply(shop.record("login", "bob", START_MS + 20 * DAY_MS)))
        assert [row for row in found if row[0] == b"u:ann"] == [(b"u:ann", False)]
        assert shop.metrics.value("keepstream_evicted_rows_total", agent="users", reason="idle") == 1

    def test_who_was_never_scored_needs_no_deletion(self):
        shop = Shop(BOUNDED)
        shop.apply(shop.record("login", "a:cookie"))
        assert scores_of(shop.apply(shop.record("login", "a:other", START_MS + 20 * DAY_MS))) == []
        assert shop.metrics.value("keepstream_evicted_rows_total", agent="users", reason="idle") == 1

    @pytest.mark.parametrize("together", [True, False])
    def test_deletion_and_scores_come_in_the_order_of_the_log(self, together):
        """A user who is erased and comes back within one batch has a score afterwards."""
        shop = Shop()
        records = [
            shop.record("login", "ann"),
            shop.record("login", "bob", START_MS + 2 * DAY_MS),
            shop.record("user_erased", "ann", START_MS + 2 * DAY_MS),
            shop.record("login", "ann", START_MS + 2 * DAY_MS + HOUR_MS),
            shop.record("login", "bob", START_MS + 4 * DAY_MS),
        ]
        batches = [records] if together else [[record] for record in records]
        found = [row for batch in batches for row in scores_of(shop.apply(*batch)) if row[0] == b"u:ann"]
        assert found[-1] == (b"u:ann", True)
        assert found.count((b"u:ann", False)) == 1

    def test_a_score_from_before_the_erasure_is_not_published_after_it(self):
        shop = Shop()
        first, later = shop.record("login", "ann"), shop.record("login", "bob", START_MS + 2 * DAY_MS)
        erasure = shop.record("user_erased", "ann", START_MS + 2 * DAY_MS)
        assert [row for row in scores_of(shop.apply(first, later, erasure)) if row[0] == b"u:ann"] == [
            (b"u:ann", False)
        ]


class TestDeadLetters:
    def letters(self, shop, *records):
        return [(o.key, o.value, dict(o.headers)) for o in shop.apply(*records) if o.topic == "dlq"]

    def test_an_erasure_deletes_the_letters_under_the_id_and_under_its_own_key(self):
        shop = Shop()
        found = self.letters(shop, shop.record("user_erased", "ann", key=b"account 7"))
        assert found == [(b"ann", None, {}), (b"account 7", None, {})]

    @pytest.mark.parametrize("key", [b"ann", None, b""])
    def test_without_a_key_of_its_own_there_is_one_tombstone(self, key):
        shop = Shop()
        assert self.letters(shop, shop.record("user_erased", "ann", key=key)) == [(b"ann", None, {})]

    def test_letters_and_tombstones_come_in_the_order_of_the_log(self):
        """What is rejected after the erasure stays."""
        shop = Shop()
        bad = Record(90, START_MS, b"ann", b"{")
        erasure = shop.record("user_erased", "a:ann", key=b"ann")
        found = self.letters(shop, bad, erasure, bad._replace(offset=92), shop.record("login", "bob"))
        assert [(key, value) for key, value, _ in found] == [(b"ann", b"{"), (b"ann", None), (b"ann", b"{")]

    def test_neither_key_nor_value_is_null(self):
        """The topic is compacted: null keys are refused there, and null values delete."""
        shop = Shop()
        [(key, value, headers)] = self.letters(shop, Record(1, START_MS, None, None))
        assert (key, value, headers["error.null"]) == (b"", b"", b"key,value")

    def test_an_eviction_deletes_no_letters(self):
        shop = Shop(BOUNDED)
        shop.apply(shop.record("login", "ann"))
        assert self.letters(shop, shop.record("login", "bob", START_MS + 20 * DAY_MS)) == []


def test_sizes_and_what_was_dropped_early_are_measured():
    shop = Shop(dedupe_max_ids=8)
    for _ in range(20):
        shop.apply(shop.record("login", "ann"))
    held = shop.metrics.value("keepstream_dedupe_ids", partition="2")
    assert 0 < held <= 8
    assert shop.metrics.value("keepstream_dedupe_dropped_ids_total") == 20 - held
    assert shop.metrics.value("keepstream_state_rows", agent="users", partition="2") == 1
