"""The log that benchmarks run on, and that a peer's counts are Keepstream's before its time is believed."""

from collections import Counter
from dataclasses import replace

import msgspec

from benchmarks.peers.job import Neighbours, Users
from benchmarks.workload import Truth, Workload, event_ms
from online_models.events import hash_id
from online_models.pipeline import Pipeline
from streams.decode import Decoder
from streams.engine.handler import Record

SMALL = Workload(events=300, users=10, items=25, history=200, days=60.0)


def peers_counts(records):
    """Let the job that peers share take the log, and return counts of users, touches of items, and pairs."""
    users, items, job, neighbours, pairs = {}, {}, Users(), Neighbours(), Counter()
    for key, value in records:
        subject = key.decode()
        users[subject], updates, _ = job.step(users.get(subject), decoded(value))
        for item, changes in updates.items():
            items[item] = neighbours.count(item, items.get(item), changes)
            pairs.update((item, partner) for partner, _, _, _ in changes if partner)
    counts = {subject: row["counts"] for subject, row in users.items()}
    return counts, {item: row["touches"] for item, row in items.items()}, pairs, job


def decoded(value):
    return msgspec.json.decode(value)


def our_counts(records):
    """Let Keepstream's stores take the log, and return the same."""
    log = [Record(n, event_ms(value) + 1, key, value) for n, (key, value) in enumerate(records)]
    decoded = Decoder().decode(log)
    assert not decoded.rejects
    made = Pipeline()
    pairs = Counter()
    names = {hash_id(item): item for item in decoded.events.item}
    for step in made.steps(decoded.events):
        for batch in step.effects.pairs:
            hashes = zip(batch.hashes[batch.owner], batch.hashes[batch.partner], strict=True)
            pairs.update((names[int(owner)], names[int(partner)]) for owner, partner in hashes)
            made.items.apply(batch)
    users = {
        subject[2:]: {k: n for k, n in made.users.lookup(subject).event_counts.items() if n}
        for subject in set(decoded.events.subject)
    }
    items = {item: made.items.lookup(item).row.touches for item in set(decoded.events.item)}
    return users, items, pairs


class TestEquality:
    def test_peers_and_keepstream_count_the_same(self):
        records = SMALL.records()
        users, items, pairs, job = peers_counts(records)
        ours, our_items, our_pairs = our_counts(records)
        assert users == ours
        assert items == our_items
        assert pairs == our_pairs
        assert job.scored > 0

    def test_labels_mature_in_the_log(self):
        _, _, _, job = peers_counts(SMALL.records())
        assert job.learned > 0


class TestTruth:
    def test_the_job_deviates_nowhere(self):
        records = SMALL.records()
        users, items, _, _ = peers_counts(records)
        assert Truth.of(records).deviations(users, items, whole=True) == 0

    def test_a_lost_a_doubled_and_a_swapped_event_are_noticed(self):
        records = SMALL.records()
        truth = Truth.of(records)
        for spoilt in (records[1:], [records[0], *records]):
            users, items, _, _ = peers_counts(spoilt)
            assert truth.deviations(users, items, whole=True) > 0
        users, items, _, _ = peers_counts(records)
        some = next(iter(users))
        users[some] = {"login": sum(users[some].values())}
        assert truth.deviations(users, items, whole=True) > 0

    def test_a_beginning_is_no_deviation_unless_the_log_was_read_to_its_end(self):
        records = SMALL.records()
        users, items, _, _ = peers_counts(records[:400])
        assert Truth.of(records).deviations(users, items, whole=False) == 0
        assert Truth.of(records).deviations(users, items, whole=True) > 0


class TestWorkload:
    def test_the_same_arguments_give_the_same_bytes_and_another_seed_others(self):
        assert SMALL.records() == replace(SMALL).records()
        assert SMALL.records() != replace(SMALL, seed=2).records()

    def test_it_has_as_many_events_as_asked_for_in_the_order_of_their_times(self):
        times = [event_ms(value) for _, value in SMALL.records()]
        assert len(times) == 500
        assert times == sorted(times)
