"""What the doctor makes of facts: every verdict of every check, and what it says to do."""

from collections import Counter

import pytest

from streams import topics
from streams.cluster import Copies, Group
from streams.doctor import broker_checks, flow_checks
from streams.doctor.broker_checks import Head
from streams.doctor.flow_checks import Producers, Standing
from streams.doctor.workers import Asked
from streams.excerpt import Place, Stretch
from streams.follow import Followed
from streams.settings import Settings
from streams.topics import Existing, Mismatch

NOW = 1_772_360_100_000
PLACE = Place("clickstream.events.v1", 3)
EMPTY = Group("empty", [])


def worker(name="w-0", **status):
    known = {"version": "0.1.0", "ready": True, "waiting_for": [], "partitions": []}
    return Asked(name, "http://h:1", known | status)


def silent(name="w-0", trouble="does not answer (refused)"):
    return Asked(name, "http://h:1", None, trouble)


def standing(log=(0, 10), position=10, waiting_s=None, checkpoint_s=1.0):
    return Standing(
        Stretch(*log),
        position,
        None if waiting_s is None else NOW - int(waiting_s * 1000),
        None if checkpoint_s is None else NOW - int(checkpoint_s * 1000),
    )


class TestVersions:
    def test_one_release_everywhere_passes(self):
        found = broker_checks.versions({"keepstream": "0.1.0"}, "4.1", [worker()])
        assert (found.verdict, found.found) == ("PASS", "keepstream 0.1.0, broker speaks Kafka 4.1")

    def test_a_worker_of_another_release_is_named(self):
        found = broker_checks.versions(
            {"keepstream": "0.1.0"}, "", [worker(), worker("w-1", version="0.0.9")]
        )
        assert found.verdict == "WARN"
        assert "w-1 runs 0.0.9" in found.found


class TestTopics:
    def test_all_there_pass(self):
        assert broker_checks.topics([]).verdict == "PASS"

    def test_missing_ones_are_counted_and_fail(self):
        found = broker_checks.topics([Mismatch("a", "is missing; ...", True), Mismatch("b", "has x", False)])
        assert found.verdict == "FAIL"
        assert found.found == f"1 of {len(topics.TOPICS)} are missing: a; b has x"
        assert "topics create" in found.remedy

    def test_another_configuration_is_a_warning(self):
        assert broker_checks.topics([Mismatch("b", "has x", False)]).verdict == "WARN"

    def test_topics_keyed_alike_need_the_same_number_of_partitions(self):
        settings = Settings()
        existing = {topic.full_name(settings): Existing(4, {}) for topic in topics.TOPICS}
        existing |= {t.full_name(settings): Existing(1, {}) for t in topics.TOPICS if t.partitions == "one"}
        assert broker_checks.co_partitioning(settings, existing).verdict == "PASS"
        existing["churn.scores.v1"] = Existing(3, {})
        found = broker_checks.co_partitioning(settings, existing)
        assert (found.verdict, found.found) == ("FAIL", "churn.scores.v1 has 3 instead of 4")

    @pytest.mark.parametrize(
        ("copies", "verdict", "found"),
        [
            (Copies(True, 3, 3), "PASS", "1 partitions are led, all copies in step (3)"),
            (Copies(True, 3, 2), "WARN", "copies out of step: clickstream.events.v1[3]"),
            (Copies(False, 3, 0), "FAIL", "without a leader: clickstream.events.v1[3]"),
        ],
    )
    def test_leaders_and_copies(self, copies, verdict, found):
        assert broker_checks.partitions({PLACE: copies})[1:3] == (verdict, found)


class TestClocks:
    @pytest.mark.parametrize(
        ("ahead_ms", "verdict"), [(0.0, "PASS"), (1_900, "PASS"), (-3_000, "WARN"), (31_000, "FAIL")]
    )
    def test_the_broker_s_clock_is_compared(self, ahead_ms, verdict):
        assert broker_checks.clocks(ahead_ms, []).verdict == verdict

    def test_a_worker_s_clock_is_named(self):
        found = broker_checks.clocks(0.0, [worker("w-1")._replace(ahead_s=-90.0)])
        assert found.verdict == "FAIL"
        assert "w-1 is 90 s behind" in found.found

    def test_a_clock_that_could_not_be_compared_is_no_pass(self):
        assert broker_checks.clocks(None, []).verdict == "WARN"


class TestGrowth:
    HEAD = Head("c", 5_000, 1_000_000, records=2_000, keys=100, age_s=7 * 3_600)

    def test_old_records_that_were_replaced_mean_no_compaction(self):
        found = broker_checks.growth([self.HEAD])
        assert found.verdict == "WARN"
        assert "c holds 5,000 records, 1 MB, and 95% of its oldest 2,000 are superseded" in found.found

    @pytest.mark.parametrize("other", [{"age_s": 3_600}, {"keys": 1_900}, {"records": 0, "keys": 0}])
    def test_young_or_distinct_records_mean_nothing(self, other):
        assert broker_checks.growth([self.HEAD._replace(**other)]).verdict == "PASS"

    def test_many_replaced_records_are_too_many_however_young(self):
        assert broker_checks.growth([self.HEAD._replace(age_s=1, written=2_000_000)]).verdict == "WARN"


class TestWorkers:
    def test_none_fails(self):
        assert flow_checks.workers([], EMPTY).verdict == "FAIL"

    def test_a_member_that_the_group_remembers_is_no_worker(self):
        found = flow_checks.workers([], Group("stable", ["w-0"]))
        assert (found.verdict, "remembers w-0" in found.found) == ("FAIL", True)

    def test_ready_ones_pass(self):
        found = flow_checks.workers([worker(), worker("w-1")], Group("stable", []))
        assert (found.verdict, found.found) == ("PASS", "2 ready (w-0, w-1), group stable")

    def test_one_that_restores_is_a_warning_with_what_it_waits_for(self):
        found = flow_checks.workers([worker(ready=False, waiting_for=["users[1] is being restored"])], EMPTY)
        assert (found.verdict, found.found) == ("WARN", "w-0 waits for: users[1] is being restored")

    def test_a_silent_one_among_others_is_a_warning_and_alone_a_failure(self):
        assert flow_checks.workers([worker(), silent("w-1")], EMPTY).verdict == "WARN"
        assert flow_checks.workers([silent()], EMPTY).verdict == "FAIL"


class TestLag:
    @pytest.mark.parametrize(
        ("waiting_s", "verdict"), [(None, "PASS"), (59, "PASS"), (61, "WARN"), (599, "WARN"), (601, "FAIL")]
    )
    def test_it_is_judged_by_how_long_the_oldest_record_waits(self, waiting_s, verdict):
        assert flow_checks.lag({PLACE: standing(position=4, waiting_s=waiting_s)}, NOW).verdict == verdict

    def test_records_and_place_are_told(self):
        found = flow_checks.lag({PLACE: standing(position=4, waiting_s=61)}, NOW).found
        assert found == "6 records wait, the oldest for 61 s in clickstream.events.v1[3]"

    def test_a_partition_never_read_is_behind_by_all_it_holds(self):
        assert standing(log=(5, 10), position=None).behind == 5

    @pytest.mark.parametrize("position", [4, 11])
    def test_a_position_that_the_log_no_longer_holds_fails(self, position):
        found = flow_checks.lag({PLACE: standing(log=(5, 10), position=position)}, NOW)
        assert found.verdict == "FAIL"
        assert f"stands at {position}, the log holds 5 to 10" in found.found


class TestCheckpoints:
    @pytest.mark.parametrize(
        ("waiting_s", "checkpoint_s", "verdict"),
        [
            (None, 86_400, "PASS"),
            (None, None, "PASS"),
            (90, 5, "PASS"),
            (5, 86_400, "PASS"),
            (90, 90, "FAIL"),
            (90, None, "FAIL"),
        ],
    )
    def test_state_that_stands_still_while_records_wait_fails(self, waiting_s, checkpoint_s, verdict):
        found = flow_checks.checkpoints({PLACE: standing((0, 20), 10, waiting_s, checkpoint_s)}, NOW)
        assert found.verdict == verdict, found


class TestRejects:
    @pytest.mark.parametrize(
        ("letters", "events", "verdict"),
        [(0, 0, "PASS"), (4, 100, "PASS"), (5, 100, "WARN"), (20, 100, "FAIL"), (20, 20, "PASS")],
    )
    def test_the_share_of_the_last_hour_decides_once_there_are_enough(self, letters, events, verdict):
        assert flow_checks.rejects(Counter(not_json=letters), events).verdict == verdict

    def test_the_commonest_reason_gives_the_remedy(self):
        found = flow_checks.rejects(Counter(wrong_type=60, not_json=1), 100)
        assert "wrong_type 60, not_json 1" in found.found
        assert "numbers without quotes" in found.remedy

    def test_those_that_were_replayed_in_vain_are_told(self):
        found = flow_checks.rejects(Counter(too_late=7), 100, replays=3).found
        assert found.endswith("too_late 7, 3 of them after a replay")

    def test_a_single_poisoned_event_is_worth_a_look(self):
        assert flow_checks.rejects(Counter(poison=1), 100_000).verdict == "WARN"


class TestProducers:
    @staticmethod
    def event(partition, key, user):
        return Followed("t", partition, 0, NOW, key, b'{"user_id":"%s"}' % user, ())

    @pytest.mark.parametrize(("key", "partition"), [(b"21", 1_173_551_340), (b"foobar", 1_357_151_166)])
    def test_a_key_lies_where_java_clients_put_it(self, key, partition):
        """The hashes are those of the tests of Apache Kafka's own clients."""
        sample = flow_checks.sampled([self.event(partition % 7, key, key)], 7)
        assert sample == Producers(records=1, keyless=0, elsewhere=0, subjects=1, torn=0)
        assert flow_checks.producers(sample).verdict == "PASS"

    def test_users_in_two_partitions_fail(self):
        sample = flow_checks.sampled([self.event(n, b"c", b"c") for n in (0, 1)], 4)
        assert sample.torn == 1
        assert flow_checks.producers(sample).verdict == "FAIL"

    def test_events_without_a_key_or_elsewhere_are_a_warning(self):
        assert flow_checks.producers(flow_checks.sampled([self.event(0, None, b"c")], 4)).verdict == "WARN"
        assert flow_checks.producers(Producers(9, 0, 1, 9, 0)).verdict == "WARN"

    @pytest.mark.parametrize("value", [b"", None, b"\xff", b"[]", b'{"user_id": 7}', b"{}"])
    def test_rejects_are_nobody_s(self, value):
        assert flow_checks.sampled([Followed("t", 0, 0, NOW, None, value, ())], 4).subjects == 0

    def test_no_events_pass(self):
        assert flow_checks.producers(Producers(0, 0, 0, 0, 0)).verdict == "PASS"
