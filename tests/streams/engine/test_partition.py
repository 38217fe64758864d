"""A partition's bookkeeping: what it hands to the stream, what it takes back, what is void."""

from streams.engine.handler import Output, Record
from streams.engine.partition import Partition, TopicPartition
from tests.chaos.counting import Users


def partition(position: int = 10) -> Partition:
    fresh = Partition(TopicPartition("ev", 0), "changelog", Users("g", 0, 1))
    fresh.open(position)
    return fresh


def records(*offsets: int) -> list[Record]:
    return [Record(offset, 0, b"u1", b"{}") for offset in offsets]


class TestFetching:
    def test_a_batch_starts_where_the_last_one_ended_even_across_control_records(self):
        p = partition()
        first = p.fetched(records(10, 11), 12, caught_up=False)
        # Offsets 12 and 13 were control records: the fetch passed them without a record.
        assert p.fetched([], 14, caught_up=False) is None
        second = p.fetched(records(14), 15, caught_up=True)
        assert (first.start, first.end) == (10, 12)
        assert (second.start, second.end) == (12, 15)
        assert p.fetch_next == 15

    def test_an_idle_transactional_log_is_not_fetched_again_and_again(self):
        p = partition()
        assert p.fetched([], 42, caught_up=True) is None
        assert p.fetch_next == 42
        assert p.position == 42, "nothing waits to be applied, so the state stands behind the control records"
        assert not p.moved, "passing control records alone is no reason for a transaction"

    def test_control_records_do_not_move_the_state_past_batches_still_under_way(self):
        p = partition()
        p.fetched(records(10), 11, caught_up=False)
        p.fetched([], 13, caught_up=True)
        assert p.position == 10
        assert p.fetch_next == 13

    def test_a_rewind_voids_what_is_under_way_and_reads_on_from_the_state(self):
        p = partition()
        batch = p.fetched(records(10, 11), 12, caught_up=True)
        p.rewind()
        assert not batch.current
        assert (p.fetch_next, p.issued_end, p.caught_up) == (10, 10, False)

    def test_a_dropped_partition_voids_its_batches(self):
        p = partition()
        batch = p.fetched(records(10), 11, caught_up=True)
        p.drop()
        assert not batch.current


class TestPieces:
    def test_a_batch_is_applied_whole(self):
        p = partition()
        batch = p.fetched(records(10, 12), 15, caught_up=True)
        assert [(len(piece), end) for piece, end in p.pieces(batch)] == [(2, 15)]

    def test_under_suspicion_records_are_applied_one_by_one(self):
        p = partition()
        p.suspect = (10, 15)
        batch = p.fetched(records(10, 12), 15, caught_up=True)
        assert [([r.offset for r in piece], end) for piece, end in p.pieces(batch)] == [
            ([10], 11),
            ([12], 15),
        ]

    def test_suspicion_ends_behind_the_suspect_offsets(self):
        p = partition()
        p.suspect = (8, 10)
        batch = p.fetched(records(10, 11), 12, caught_up=True)
        assert [len(piece) for piece, _ in p.pieces(batch)] == [2]
        assert p.suspect is None


class TestPending:
    def test_outputs_are_counted_until_a_checkpoint_takes_them(self):
        p = partition()
        p.applied(3, [Output("out", 0, b"key", b"value"), Output("out", 0, b"k", None)], 13)
        assert (p.position, p.moved, p.pending_records, p.output_bytes) == (13, True, 3, 9)
        assert len(p.take_outputs()) == 2
        assert (p.moved, p.pending_records, p.output_bytes, p.outputs) == (False, 0, 0, [])
