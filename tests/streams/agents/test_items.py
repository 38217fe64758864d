from online_models.items.settings import CooccurrenceSettings
from streams.agents.broadcast import Broadcast
from streams.agents.items import ItemsHandler
from streams.engine.handler import Record
from streams.metrics import Metrics
from tests.online_models.items.workload import DAY_MS, log_of

TTL_MS = 3 * DAY_MS
SETTINGS = CooccurrenceSettings(slots=4, published_partners=3, state_ttl_ms=TTL_MS)


def record(offset, *touches):
    return Record(offset, 0, None, log_of(list(touches)).pack())


def rows_of(outputs):
    return [(output.key, output.value) for output in outputs]


def test_an_evicted_item_loses_its_broadcast_row_and_gets_a_new_one_when_it_comes_back():
    metrics = Metrics()
    handler = ItemsHandler(SETTINGS, 3, "neighbours", metrics)
    handler.apply([record(0, (1, "gone", 5)), record(1, (2, "back", 6))])
    outputs = handler.apply([record(2, (3, "back", 2 * TTL_MS))])
    assert {output.partition for output in outputs} == {3}
    rows = rows_of(outputs)
    assert rows[:2] == [(b"back", None), (b"gone", None)] or rows[:2] == [(b"gone", None), (b"back", None)]
    [(key, value)] = rows[2:]
    assert (key, b'"touches":1' in value) == (b"back", True)
    assert metrics.value("keepstream_evicted_rows_total", agent="items", reason="idle") == 2


def test_what_waits_for_broker_time_goes_out_when_no_further_record_comes():
    handler = ItemsHandler(SETTINGS, 3, "neighbours", Metrics())
    first, second = (record(n, (n, "a", 5 + n))._replace(timestamp=70_000 + n) for n in range(2))
    assert len(handler.apply([first])) == 1
    assert handler.apply([second]) == []
    assert handler.idle(74_999) == []
    [(key, value)] = rows_of(handler.idle(75_000))
    assert (key, b'"touches":2' in value) == (b"a", True)
    assert handler.idle(90_000) == handler.tick(DAY_MS) == []


class TestBroadcast:
    def broadcast(self):
        return Broadcast(
            {"bootstrap.servers": "127.0.0.1:1"},
            "neighbours",
            "models",
            SETTINGS,
            horizon_ms=DAY_MS,
        )

    def row(self, item, time=5):
        handler = ItemsHandler(SETTINGS, 0, "neighbours", Metrics())
        return rows_of(handler.apply([record(0, (1, item, time))]))[0]

    def test_a_row_after_a_deletion_counts_also_within_one_chunk(self):
        broadcast = self.broadcast()
        broadcast.take_neighbours(
            [self.row("a"), (b"a", None), self.row("a", 9), self.row("b"), (b"b", None)]
        )
        assert [broadcast.table.item_id(row) for row in broadcast.table.popular()] == ["a"]

    def test_deletions_free_the_rows_of_the_table(self, monkeypatch):
        monkeypatch.setattr("online_models.items.neighbours._MARGIN", 10)
        broadcast = self.broadcast()
        broadcast.table._mentions_limit = 10
        for turn in range(40):
            names = [f"{turn}-{n}" for n in range(5)]
            broadcast.take_neighbours([self.row(name) for name in names])
            broadcast.take_neighbours([(name.encode(), None) for name in names])
        assert len(broadcast.table) <= 25
        assert broadcast.table.size <= 25
