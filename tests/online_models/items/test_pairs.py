from dataclasses import replace

import msgspec
import numpy as np
import pytest

from online_models.errors import CorruptStateError
from online_models.events import KIND
from online_models.items.pairs import PairBatch, item_partitions
from tests.online_models.items.workload import cut, item_hash, log_of, random_touches


def pairs_of(batch):
    """Return (owner, partner, signed distance, weight, time) of every pair."""
    columns = zip(batch.owner, batch.partner, batch.distance, batch.weight, batch.time, strict=True)
    return [
        (batch.names[owner], batch.names[partner], int(k), float(weight), int(time))
        for owner, partner, k, weight, time in columns
    ]


def touches_of(batch):
    columns = zip(batch.touch_item, batch.touch_time, batch.touch_category, strict=True)
    return [(batch.names[item], int(time), batch.categories[category]) for item, time, category in columns]


class TestPairsFromTouches:
    def test_a_pair_counts_forward_at_the_earlier_and_backward_at_the_later_item(self):
        batch = log_of([(1, "a", 10), (1, "b", 20), (1, "c", 30)])
        assert pairs_of(batch) == [
            ("a", "b", 1, 1.0, 20),
            ("b", "a", -1, 1.0, 20),
            ("b", "c", 1, 1.0, 30),
            ("c", "b", -1, 1.0, 30),
            ("a", "c", 2, 1.0, 30),
            ("c", "a", -2, 1.0, 30),
        ]

    def test_an_item_after_itself_counts_once(self):
        assert pairs_of(log_of([(1, "a", 10), (1, "a", 20)])) == [("a", "a", 1, 1.0, 20)]

    def test_the_weight_is_that_of_the_later_touch(self):
        kinds = [KIND["purchase"], KIND["add_to_cart"]]
        assert [pair[3] for pair in pairs_of(log_of([(1, "a", 10), (1, "b", 20)], kinds=kinds))] == [2.0, 2.0]

    def test_every_touch_is_kept_with_its_category(self):
        batch = log_of([(1, "a", 10), (2, "b", 20), (2, "a", 30)], categories={"a": "toys"})
        assert touches_of(batch) == [("a", 10, "toys"), ("b", 20, ""), ("a", 30, "toys")]


class TestSplit:
    @pytest.mark.parametrize("max_bytes", [1, 300, 400_000])
    def test_nothing_is_lost_and_everything_reaches_its_owner(self, max_bytes):
        batch = log_of(random_touches(1, 60), categories={"item-1": "toys"})
        parts = list(batch.split(lambda hashes: item_partitions(hashes, 3), max_bytes))
        for partition, part in parts:
            owners = part.hashes[np.concatenate((part.owner, part.touch_item))]
            assert set(item_partitions(owners, 3).tolist()) == {partition}
        found = sorted(pair for _, part in parts for pair in pairs_of(part))
        assert found == sorted(pairs_of(batch))
        assert sorted(t for _, part in parts for t in touches_of(part)) == sorted(touches_of(batch))

    def test_order_within_a_partition_is_kept(self):
        batch = log_of(random_touches(2, 60))
        times = [part.time for _, part in batch.split(lambda hashes: item_partitions(hashes, 1), 500)]
        assert (np.diff(np.concatenate(times)) >= 0).all()

    def test_packed_parts_stay_below_the_bound(self):
        batch = log_of(random_touches(3, 300))
        sizes = [len(part.pack()) for _, part in batch.split(lambda h: item_partitions(h, 2), 5_000)]
        # The names of the columns come on top.
        assert max(sizes) < 5_000 + 250
        assert len(sizes) > 4

    @pytest.mark.parametrize("touches", [1, 8, 60])
    def test_parts_are_the_same_whether_their_rows_were_counted_or_only_bounded(self, touches):
        batch = log_of(random_touches(4, touches), categories={"item-1": "toys"})
        exact = int(sum(costs.sum() for costs in batch._costs()))
        assert exact < batch._longest_bytes()
        packed = [
            [
                (partition, part.pack())
                for partition, part in batch.split(lambda h: item_partitions(h, 3), bound)
            ]
            for bound in (exact + 1, batch._longest_bytes() + 1)
        ]
        assert packed[0] == packed[1]

    def test_an_empty_batch_has_no_parts(self):
        assert list(log_of([]).split(lambda hashes: item_partitions(hashes, 2))) == []


class TestPack:
    def test_a_round_trip_keeps_everything(self):
        batch = log_of(random_touches(4, 50), categories={"item-0": "toys", "item-1": "books"})
        back = PairBatch.unpack(batch.pack())
        assert pairs_of(back) == pairs_of(batch)
        assert touches_of(back) == touches_of(batch)
        np.testing.assert_array_equal(back.hashes, batch.hashes)
        np.testing.assert_array_equal(back.touch_price, batch.touch_price)

    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\xc1",
            b"\x01",
            msgspec.msgpack.encode({"version": 1}),
            msgspec.msgpack.encode({"version": 9}),
        ],
    )
    def test_other_bytes_are_refused(self, data):
        with pytest.raises(CorruptStateError, match="pairs"):
            PairBatch.unpack(data)


class TestNamed:
    def test_ids_known_elsewhere_are_filled_in(self):
        batch = log_of([(1, "a", 10), (1, "b", 20)])
        nameless = batch.named(list)
        assert nameless is batch
        known = {int(item_hash("a")): "a"}
        blank = replace(batch, names=["", ""])
        assert sorted(
            blank.named(lambda hashes: [known.get(value, "") for value in hashes.tolist()]).names
        ) == ["", "a"]


class TestConcat:
    def test_pieces_put_together_are_the_whole(self):
        batch = log_of(random_touches(5, 40), categories={"item-0": "toys"})
        whole = PairBatch.concat(cut(batch, 7))
        assert pairs_of(whole) == pairs_of(batch)
        assert touches_of(whole) == touches_of(batch)

    def test_of_nothing_is_empty(self):
        assert len(PairBatch.concat([])) == 0


def test_items_spread_over_partitions():
    hashes = np.array([item_hash(f"item-{i}") for i in range(1000)])
    assert np.bincount(item_partitions(hashes, 4), minlength=4).min() > 200
