import pytest

from streams import topics
from streams.settings import Settings, load
from streams.topics import Existing


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
