import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import hash_id
from online_models.items.cooccurrence import CooccurrenceStore
from online_models.items.pairs import PairBatch
from online_models.items.settings import CooccurrenceSettings
from tests.online_models.items.workload import DAY_MS, cut, log_of, random_touches

FEW_SLOTS = CooccurrenceSettings(slots=4, published_partners=3)
touch_logs = st.lists(
    st.tuples(st.integers(0, 2), st.sampled_from("abcdefghijkl"), st.integers(1, 3 * DAY_MS)), max_size=60
)


def counted(batches, options=FEW_SLOTS):
    store = CooccurrenceStore(options)
    for batch in batches:
        store.apply(batch)
    return store


def state(store):
    rows = dict(store.dirty_rows())
    assert all(value is not None for value in rows.values())
    return rows


def one_by_one(batch, slots):
    """Count the pairs of a batch in plain Python: {owner: {partner: [forward, backward, lag-1]}}."""
    # As the store adds up: where sums tie, rounding decides which partner gives way.
    held: dict[int, dict[int, list[np.float32]]] = {}
    for owner, partner, k, weight in zip(
        batch.owner, batch.partner, batch.distance.tolist(), batch.weight, strict=True
    ):
        partners = held.setdefault(int(batch.hashes[owner]), {})
        other = int(batch.hashes[partner])
        if other not in partners:
            if len(partners) == slots:
                # A dict keeps the order of insertion; the slot of the evicted one is reused in place.
                weakest = min(partners, key=lambda p: partners[p][0] + partners[p][1])
                partners = held[int(batch.hashes[owner])] = {
                    (other if p == weakest else p): ([np.float32(0)] * 3 if p == weakest else w)
                    for p, w in partners.items()
                }
            else:
                partners[other] = [np.float32(0)] * 3
        amount = np.float32(weight) / np.float32(abs(k))
        partners[other][0 if k > 0 else 1] += amount
        partners[other][2] += amount if k == 1 else np.float32(0)
    return held


class TestApply:
    def test_without_decay_pairs_weigh_one_over_their_distance(self):
        store = counted([log_of([(1, "a", 1), (1, "b", 2), (1, "c", 3)])], CooccurrenceSettings())
        row = store.lookup("a").row
        assert row.partner_ids == ["b", "c"]
        np.testing.assert_allclose(row.weights[:, 0], [1.0, 0.5], rtol=1e-6)
        np.testing.assert_allclose(row.weights[:, 1], 0.0)
        np.testing.assert_allclose(row.weights[:, 2], [1.0, 0.0], rtol=1e-6)
        assert store.lookup("c").row.weights[:, 1].tolist() == pytest.approx([1.0, 0.5])

    def test_weights_halve_in_a_half_life(self):
        half = CooccurrenceSettings().half_life_ms
        log = log_of([(1, "a", 0), (1, "b", 0), (2, "a", half), (2, "c", half)])
        row = counted([log], CooccurrenceSettings()).lookup("a").row
        assert dict(zip(row.partner_ids, row.weights[:, 0].tolist(), strict=True)) == pytest.approx(
            {"c": 1.0, "b": 0.5}
        )
        assert row.popularity == pytest.approx(1.5)
        assert row.touches == 2

    def test_years_without_a_touch_leave_exact_counts_and_finite_weights(self):
        times = [0, 1, 4000 * DAY_MS, 4000 * DAY_MS + 1]
        log = log_of([(1, "a", times[0]), (1, "b", times[1]), (2, "a", times[2]), (2, "b", times[3])])
        row = counted([log]).lookup("a").row
        assert row.touches == 2
        assert row.popularity == pytest.approx(1.0)
        assert row.weights[0].tolist() == pytest.approx([1.0, 0.0, 1.0])

    def test_the_weakest_partner_gives_way(self):
        seen = enumerate("bccddeef")
        log = log_of([(s, item, s * 10 + i) for s, partner in seen for i, item in enumerate("a" + partner)])
        assert sorted(counted([log]).lookup("a").row.partner_ids) == ["c", "d", "e", "f"]

    @settings(deadline=None, max_examples=60)
    @given(touch_logs)
    def test_slots_end_as_if_pairs_came_one_by_one(self, touches):
        batch = log_of([(session, item, 0) for session, item, _ in touches])
        store = counted([batch]) if len(batch) else counted([])
        for owner, partners in one_by_one(batch, FEW_SLOTS.slots).items():
            row = store.row_of(owner)
            used = store.rows["used"][row]
            found, weights = store.slots.take(np.array([row]), np.array([used]))
            assert found[0, :used].tolist() == list(partners)
            assert not found[0, used:].any()
            np.testing.assert_allclose(weights[0, :used], list(partners.values()), rtol=1e-6)

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 10_000), st.sampled_from([10, 60]), st.sampled_from([3, 400]))
    def test_state_does_not_depend_on_where_batches_were_cut(self, seed, items, days):
        log = log_of(random_touches(seed, 80, items=items, span_ms=days * DAY_MS))
        whole = state(counted([log]))
        assert state(counted(cut(log, 1))) == whole
        assert state(counted(cut(log, 7))) == whole
        assert state(counted([PairBatch.concat(cut(log, 7))])) == whole

    def test_an_owner_known_by_hash_only_is_counted_and_named_later(self):
        log = log_of([(1, "a", 1), (1, "b", 2)])
        nameless = PairBatch(**{**{f: getattr(log, f) for f in log.__slots__}, "names": ["", ""]})
        store = counted([nameless])
        assert store.lookup("a").row.item_id == ""
        assert store.lookup("a").row.partner_ids == [""]
        assert store.publish() == []
        store.apply(log)
        assert store.lookup("a").row.partner_ids == ["b"]
        assert store.lookup("a").row.touches == 2

    def test_the_latest_known_category_and_price_are_kept(self):
        store = counted([log_of([(1, "a", 1)], categories={"a": "toys"})])
        store.apply(log_of([(2, "a", 2)]))
        row = store.lookup("a").row
        assert row.category == "toys"
        assert np.isnan(row.price)

    def test_an_unknown_item_has_no_view(self):
        assert counted([]).lookup("a") is None


class TestRestore:
    @pytest.mark.parametrize("stop", [1, 40, 119])
    def test_a_restored_store_goes_on_as_if_never_stopped(self, stop):
        pieces = cut(log_of(random_touches(7, 120), categories={"item-1": "toys"}), 1)
        undisturbed = counted(pieces)
        first = counted(pieces[: stop // 2])
        rows = first.dirty_rows()
        for piece in pieces[stop // 2 : stop]:
            first.apply(piece)
        rows += first.dirty_rows()
        second = CooccurrenceStore(FEW_SLOTS)
        second.restore(rows[:5])
        second.restore(rows[5:])
        second.restored()
        for piece in pieces[stop:]:
            second.apply(piece)
        for item in range(30):
            view, expected = second.lookup(f"item-{item}"), undisturbed.lookup(f"item-{item}")
            if expected is None:
                assert view is None
                continue
            assert view.row.partner_ids == expected.row.partner_ids
            assert view.row.touches == expected.row.touches
            assert view.row.category == expected.row.category
            np.testing.assert_array_equal(view.row.weights, expected.row.weights)
            assert (view.row.popularity, view.row.lately) == (expected.row.popularity, expected.row.lately)

    def test_reserved_rows_of_an_unknown_kind_are_refused_by_key(self):
        with pytest.raises(CorruptStateError, match="of no kind that this release knows") as refused:
            CooccurrenceStore(FEW_SLOTS).restore([(b"\0tomorrow", b"17")])
        assert refused.value.key == b"\0tomorrow"

    def test_clean_rows_are_not_written_again(self):
        store = counted([log_of([(1, "a", 1), (2, "b", 2)])])
        store.dirty_rows()
        store.apply(log_of([(3, "b", 2)]))
        assert [key for key, _ in store.dirty_rows()] == [f"{hash_id('b'):016x}".encode()]


class TestPublish:
    def test_the_first_touch_is_published_at_once(self):
        store = counted([log_of([(1, "a", 1)])])
        assert [(row.item_id, row.touches) for row in store.publish()] == [("a", 1)]
        assert store.publish() == []

    def test_a_grown_item_is_published_a_hardly_changed_one_waits_for_the_interval(self):
        store = counted([log_of([(s, "a", s) for s in range(100)])])
        store.publish()
        store.apply(log_of([(200, "a", 200)]))
        assert store.publish() == []
        store.apply(log_of([(s, "a", 200 + s) for s in range(5)]))
        assert [row.touches for row in store.publish()] == [106]
        store.apply(log_of([(300, "a", 300)]))
        assert store.publish() == []
        store.apply(log_of([(301, "b", 300 + FEW_SLOTS.publish_interval_ms)]))
        assert sorted(row.item_id for row in store.publish()) == ["a", "b"]

    def test_what_a_lost_process_held_back_is_published_after_the_restore(self):
        store = counted([log_of([(1, "a", 1)])])
        store.publish()
        store.apply(log_of([(2, "a", 2), (2, "b", 3)]))
        restored = CooccurrenceStore(FEW_SLOTS)
        restored.restore(store.dirty_rows())
        restored.restored()
        assert {row.item_id: row.touches for row in restored.publish()} == {"a": 2, "b": 1}

    def test_between_two_publications_of_an_item_a_pause_of_broker_time_passes(self):
        """However much happens to it, and however far event time goes on: as in a log that is replayed."""
        store, day = CooccurrenceStore(FEW_SLOTS), 20_000 * DAY_MS
        store.apply(log_of([(1, "a", day)]), sent_ms=50_000)
        assert [row.touches for row in store.publish()] == [1]
        store.apply(log_of([(2, "a", day + DAY_MS), (3, "a", day + DAY_MS + 1)]), sent_ms=54_999)
        assert store.publish() == []
        store.apply(log_of([(4, "b", day + DAY_MS + 2)]), sent_ms=55_000)
        assert [(row.item_id, row.touches) for row in store.publish()] == [("a", 3), ("b", 1)], (
            "an item that waits is published with another one's record"
        )

    def test_an_item_that_waits_is_published_by_the_wall_clock_where_no_record_comes(self):
        store = CooccurrenceStore(FEW_SLOTS)
        store.apply(log_of([(1, "a", 40_000)]), sent_ms=50_000)
        store.publish()
        store.apply(log_of([(2, "a", 40_001)]), sent_ms=50_500)
        assert store.publish(sent_ms=54_999) == []
        assert [row.touches for row in store.publish(sent_ms=55_000)] == [2]
        assert store.publish(10**12, 10**12) == [], "nothing has changed since"

    def test_a_clock_that_went_astray_holds_nothing_up(self):
        store = CooccurrenceStore(FEW_SLOTS)
        store.apply(log_of([(1, "a", 1)]), sent_ms=10**12)
        store.publish()
        store.apply(log_of([(2, "a", 2)]), sent_ms=50_000)
        assert [row.touches for row in store.publish()] == [2]

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 10_000), st.sampled_from([0, 300, 4_900]), st.integers(1, 79))
    def test_no_change_is_held_back_for_ever_by_a_process_that_is_lost(self, seed, step, stop):
        """What readers have, once the pause is over, is what an undisturbed store has."""
        records = cut(log_of(random_touches(seed, 80, items=6, span_ms=900 * DAY_MS)), 1)
        store, shown, rows = CooccurrenceStore(FEW_SLOTS), {}, []
        for place, record in enumerate(records):
            store.apply(record, 50_000 + place * step)
            shown.update({row.item_id: row for row in store.publish()})
            rows += store.dirty_rows()
            if place == stop:
                store = CooccurrenceStore(FEW_SLOTS)
                store.restore(rows)
                store.restored()
        shown.update({row.item_id: row for row in store.publish(10**15, 10**15)})
        for item, row in shown.items():
            expected = store.lookup(item).row
            assert (row.touches, row.time_ms) == (expected.touches, expected.time_ms)
            assert row.partner_ids == expected.partner_ids[: len(row.partner_ids)]
            np.testing.assert_array_equal(row.weights, expected.weights[: len(row.partner_ids)])

    def test_the_broker_times_of_changes_do_not_depend_on_where_batches_were_cut(self):
        records = cut(log_of(random_touches(5, 80)), 3)
        sent = [50_000 + 400 * place - 900 * (place % 5 == 0) for place in range(len(records))]
        whole = None
        for size in (1, 7, len(records)):
            store = CooccurrenceStore(FEW_SLOTS)
            for at in range(0, len(records), size):
                store.apply_all(records[at : at + size], sent[at : at + size])
            rows = state(store)
            whole = whole or rows
            assert rows == whole

    def test_only_the_strongest_partners_are_published(self):
        log = log_of([(s, item, s) for s in range(5) for item in ("a", f"p{s}")])
        store = counted([log])
        assert [len(row.partner_ids) for row in store.publish() if row.item_id == "a"] == [3]
        assert len(store.lookup("a").row.partner_ids) == 4


class TestEviction:
    TTL = 3 * DAY_MS
    BOUNDED = CooccurrenceSettings(slots=4, published_partners=3, max_items=10, state_ttl_ms=TTL)

    def test_an_item_nobody_touches_is_forgotten_at_the_first_sweep_after_its_time(self):
        day = 20_000 * DAY_MS
        store = counted([log_of([(1, "a", day + 5), (1, "b", day + DAY_MS)])], self.BOUNDED)
        store.apply(log_of([(2, "b", day + self.TTL + DAY_MS)]))
        assert store.lookup("a") is not None, "the sweep after its time has not come yet"
        store.apply(log_of([(2, "b", day + self.TTL + DAY_MS + 1)]))
        assert store.lookup("a") is None
        assert store.withdrawn() == ["a"]
        assert store.withdrawn() == []
        assert store.evicted == {"idle": 1, "full": 0}
        assert dict(store.dirty_rows())[f"{hash_id('a'):016x}".encode()] is None

    def test_an_item_that_comes_back_starts_from_nothing(self):
        store = counted([log_of([(1, "a", 1), (1, "b", 2)])], self.BOUNDED)
        store.apply(log_of([(2, "a", 9 * DAY_MS)]))
        row = store.lookup("a").row
        assert (row.touches, row.partner_ids) == (1, [])
        assert sorted(store.withdrawn()) == ["a", "b"]
        assert [row.item_id for row in store.publish()] == ["a"]

    def test_where_there_are_too_many_the_most_faded_go(self):
        often = [(s, "often", s) for s in range(20)]
        store = counted(
            [log_of([*often, *((100 + n, f"once-{n}", 100 + n) for n in range(10))])], self.BOUNDED
        )
        assert len(store) == 11
        store.apply(log_of([(200, "new", 200)]))
        assert store.evicted == {"idle": 0, "full": 2}
        assert sorted(store.withdrawn()) == ["once-0", "once-1"]
        assert store.lookup("often").row.touches == 20

    @settings(deadline=None, max_examples=60)
    @given(st.integers(0, 10_000), st.sampled_from([12, 40]), st.sampled_from([3, 30]))
    def test_what_is_evicted_does_not_depend_on_how_many_records_come_at_once(self, seed, items, days):
        records = cut(log_of(random_touches(seed, 80, items=items, span_ms=days * DAY_MS)), 4)
        whole, gone = None, None
        for size in (1, 3, len(records)):
            store, withdrawn, rows = CooccurrenceStore(self.BOUNDED), [], {}
            for at in range(0, len(records), size):
                store.apply_all(records[at : at + size], [0] * len(records[at : at + size]))
                withdrawn += store.withdrawn()
                rows.update(store.dirty_rows())
            rows = {key: value for key, value in rows.items() if value is not None}
            whole, gone = whole or rows, gone or withdrawn
            assert (rows, withdrawn) == (whole, gone)

    @settings(deadline=None, max_examples=40)
    @given(st.integers(0, 10_000), st.integers(1, 19))
    def test_a_restored_store_evicts_as_if_never_stopped(self, seed, stop):
        records = cut(log_of(random_touches(seed, 80, items=40, span_ms=20 * DAY_MS)), 4)
        undisturbed, first = CooccurrenceStore(self.BOUNDED), CooccurrenceStore(self.BOUNDED)
        undisturbed.apply_all(records, [0] * len(records))
        first.apply_all(records[:stop], [0] * stop)
        second = CooccurrenceStore(self.BOUNDED)
        second.restore(first.dirty_rows())
        second.restored()
        second.apply_all(records[stop:], [0] * len(records[stop:]))
        assert (first.withdrawn() + second.withdrawn()) == undisturbed.withdrawn()
        held = [np.sort(store.rows["hash"]) for store in (second, undisturbed)]
        np.testing.assert_array_equal(*[hashes[hashes > 0] for hashes in held])


def test_names_nobody_points_at_are_forgotten(monkeypatch):
    monkeypatch.setattr("online_models.items.names._MARGIN", 20)
    store = counted([log_of([(s, item, s) for s in range(60) for item in ("hub", f"p{s}")])])
    store.apply(log_of([(100, "hub", 100), (100, "last", 101)]))
    assert store.lookup("hub").row.partner_ids
    assert "" not in store.lookup("hub").row.partner_ids


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("slots", 0),
        ("max_items", 0),
        ("state_ttl_ms", 0),
        ("published_partners", 65),
        ("half_life_ms", 0),
        ("publish_growth", -0.1),
    ],
)
def test_settings_name_the_parameter_and_its_value(name, value):
    with pytest.raises(InvalidParameterError, match=f"{name}.*{value}"):
        CooccurrenceSettings(**{name: value})
