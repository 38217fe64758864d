import pytest

from streams import topics
from streams.settings import Settings, load
from streams.topics import Existing

DAY_MS = 86_400_000


def as_the_table_says(settings):
    return {
        topic.full_name(settings): Existing(
            topics.partition_count(topic, settings, {}), dict(topic.configs(settings))
        )
        for topic in topics.TOPICS
    }


def only_difference(existing, settings=None):
    (mismatch,) = topics.differences(settings or Settings(), existing)
    return mismatch


class TestTable:
    def test_names_are_unique_and_versioned(self):
        names = [topic.name for topic in topics.TOPICS]
        assert len(set(names)) == len(names)
        assert all(".v1" in name for name in names)

    def test_the_prefix_comes_first(self):
        assert topics.EVENTS.full_name(load(environ={}, topic_prefix="shop.")) == "shop.clickstream.events.v1"

    def test_every_constant_is_in_the_table(self):
        from streams.topics import table

        assert {name for name in dir(table) if isinstance(getattr(table, name), topics.Topic)} <= set(
            topics.__all__
        )
        assert len(topics.TOPICS) == sum(isinstance(value, topics.Topic) for value in vars(table).values())

    @pytest.mark.parametrize(
        "topic", [topics.USERS_CHANGELOG, topics.ITEMS_CHANGELOG, topics.TRAINER_CHANGELOG], ids=str
    )
    def test_a_changelog_keeps_the_newest_row_of_every_key_for_ever(self, topic):
        configs = topic.configs(Settings())
        assert configs["cleanup.policy"] == "compact"
        assert configs["retention.ms"] == "-1"

    def test_a_changelog_has_the_partitions_of_its_source(self):
        settings = load(environ={}, events_partitions=9)
        count = {topic: topics.partition_count(topic, settings, {}) for topic in topics.TOPICS}
        assert count[topics.USERS_CHANGELOG] == count[topics.EVENTS] == 9
        assert count[topics.ITEMS_CHANGELOG] == count[topics.ITEM_PAIRS]
        assert count[topics.TRAINER_CHANGELOG] == count[topics.EXAMPLES] == 1

    def test_a_dead_letter_may_be_larger_than_any_event(self):
        assert int(topics.DEAD_LETTERS.configs(Settings())["max.message.bytes"]) > 1_048_588
        assert "max.message.bytes" not in topics.EVENTS.configs(Settings())

    def test_what_was_replaced_or_deleted_goes_within_a_day(self):
        for topic in topics.TOPICS:
            configs = topic.configs(Settings())
            if topic.compacted:
                assert int(configs["max.compaction.lag.ms"]) == DAY_MS
                assert int(configs["segment.ms"]) <= DAY_MS
                assert int(configs["delete.retention.ms"]) >= DAY_MS

    def test_dead_letters_of_a_key_are_all_there_for_a_week_and_can_be_deleted(self):
        configs = topics.DEAD_LETTERS.configs(Settings())
        assert configs["cleanup.policy"] == "compact,delete"
        assert int(configs["min.compaction.lag.ms"]) == 7 * DAY_MS
        assert int(configs["max.compaction.lag.ms"]) >= int(configs["min.compaction.lag.ms"])
        assert configs["retention.ms"] == str(30 * DAY_MS)

    @pytest.mark.parametrize(("keep", "segment"), [("7d", DAY_MS), ("2h", 7_200_000), ("forever", None)])
    def test_records_leave_at_most_a_day_after_their_time(self, keep, segment):
        configs = topics.EVENTS.configs(load(environ={}, event_retention=keep))
        assert configs.get("segment.ms") == (segment and str(segment))

    def test_with_three_copies_two_must_be_in_step(self):
        settings = load(environ={}, replication_factor=3)
        assert all(topic.configs(settings)["min.insync.replicas"] == "2" for topic in topics.TOPICS)

    def test_retention_may_be_unlimited(self):
        settings = load(environ={}, event_retention="forever")
        assert topics.EVENTS.configs(settings)["retention.ms"] == "-1"


class TestDifferences:
    def test_topics_as_the_table_has_them_do_not_differ(self):
        assert topics.differences(Settings(), as_the_table_says(Settings())) == []

    def test_a_missing_topic_says_how_to_make_it(self):
        existing = as_the_table_says(Settings())
        del existing["recommendations.v1"]
        assert only_difference(existing) == (
            "recommendations.v1",
            "is missing; `keepstream topics create` makes it",
            True,
        )

    def test_a_changelog_with_other_partitions_than_its_source_is_fatal(self):
        existing = as_the_table_says(Settings())
        name = topics.USERS_CHANGELOG.full_name(Settings())
        existing[name] = existing[name]._replace(partitions=3)
        mismatch = only_difference(existing)
        assert mismatch.fatal
        assert mismatch.topic == name
        assert "has 3 partitions and must have 4, like clickstream.events.v1" in mismatch.explanation

    def test_an_event_topic_that_was_there_first_decides_the_number_of_partitions(self):
        existing = as_the_table_says(load(environ={}, events_partitions=12))
        mismatch = only_difference(existing)
        assert not mismatch.fatal
        assert "has 12 partitions; the setting events_partitions says 4" in mismatch.explanation

    def test_a_changelog_that_forgets_by_age_is_fatal(self):
        existing = as_the_table_says(Settings())
        name = topics.ITEMS_CHANGELOG.full_name(Settings())
        existing[name].configs["cleanup.policy"] = "compact,delete"
        mismatch = only_difference(existing)
        assert mismatch.fatal
        assert "records would be lost by age" in mismatch.explanation

    @pytest.mark.parametrize(("has", "fatal"), [("1000", True), ("3599999", True), ("3600000", False)])
    def test_a_changelog_that_forgets_deletions_before_a_restore_has_read_them_is_fatal(self, has, fatal):
        existing = as_the_table_says(Settings())
        name = topics.USERS_CHANGELOG.full_name(Settings())
        existing[name].configs["delete.retention.ms"] = has
        mismatch = only_difference(existing)
        assert mismatch.fatal is fatal
        assert ("bring back what was erased" in mismatch.explanation) is fatal

    def test_an_output_that_forgets_deletions_soon_is_worth_a_note(self):
        existing = as_the_table_says(Settings())
        existing[topics.SCORES.full_name(Settings())].configs["delete.retention.ms"] = "0"
        mismatch = only_difference(existing)
        assert not mismatch.fatal
        assert "a reader that was away for longer misses a deletion" in mismatch.explanation

    def test_a_changelog_without_a_deadline_for_erasures_is_worth_a_note(self):
        existing = as_the_table_says(Settings())
        name = topics.USERS_CHANGELOG.full_name(Settings())
        existing[name].configs["max.compaction.lag.ms"] = str(2**63 - 1)
        mismatch = only_difference(existing)
        assert not mismatch.fatal
        assert "an erased user's rows may stay in the log that long" in mismatch.explanation

    def test_dead_letters_that_cannot_be_deleted_are_worth_a_note(self):
        existing = as_the_table_says(Settings())
        name = topics.DEAD_LETTERS.full_name(Settings())
        existing[name].configs["cleanup.policy"] = "delete"
        mismatch = only_difference(existing)
        assert not mismatch.fatal
        assert "what an erased user has in it stays as long as everything else" in mismatch.explanation

    def test_the_order_of_policies_does_not_matter(self):
        existing = as_the_table_says(Settings())
        existing[topics.DEAD_LETTERS.full_name(Settings())].configs["cleanup.policy"] = "delete,compact"
        assert topics.differences(Settings(), existing) == []

    def test_another_retention_of_events_is_worth_a_note(self):
        existing = as_the_table_says(Settings())
        existing["clickstream.events.v1"].configs["retention.ms"] = "1000"
        mismatch = only_difference(existing)
        assert not mismatch.fatal
        assert mismatch.explanation == "has retention.ms = 1000 instead of 604800000"

    def test_a_configuration_that_the_broker_does_not_report_is_no_difference(self):
        existing = {
            name: Existing(found.partitions, {}) for name, found in as_the_table_says(Settings()).items()
        }
        assert topics.differences(Settings(), existing) == []
