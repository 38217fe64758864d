"""Workers announce themselves; whoever asks reads the topic."""

import pytest

from streams import topics
from streams.announce import Announcer, Directory, read_workers
from streams.errors import BrokerUnavailableError
from streams.schemas import WorkerAnnouncement


@pytest.fixture
def broker(embedded_broker):
    return embedded_broker


def announcement(instance="w-0", generation=1, **partitions):
    return WorkerAnnouncement(instance, f"http://127.0.0.1:1/{instance}", generation, partitions)


def encoded(*announcements):
    import msgspec

    return [(a.instance.encode(), msgspec.json.encode(a)) for a in announcements]


class TestDirectory:
    def test_the_last_word_of_a_worker_counts(self):
        directory = Directory()
        directory.take(encoded(announcement(users=[0]), announcement(generation=2, users=[0, 1])))
        assert [w.partitions for w in directory.workers()] == [{"users": [0, 1]}]

    def test_a_worker_that_left_is_gone(self):
        directory = Directory()
        directory.take([*encoded(announcement("a"), announcement("b")), (b"a", None)])
        assert [w.instance for w in directory.workers()] == ["b"]

    def test_a_row_that_cannot_be_read_is_passed_over(self):
        directory = Directory()
        directory.take([(b"broken", b"{"), *encoded(announcement("a"))])
        assert [w.instance for w in directory.workers()] == ["a"]

    def test_the_newest_generation_is_asked_first_and_oneself_never(self):
        directory = Directory()
        directory.take(encoded(announcement("a", 1), announcement("b", 3), announcement("c", 3)))
        assert [w.instance for w in directory.others("b")] == ["c", "a"]


class TestTopic:
    def test_announcements_are_read_back_until_they_are_withdrawn(self, settings):
        topics.ensure(settings)
        assert read_workers(settings) == []
        first, second = Announcer(settings), Announcer(settings)
        first.announce(announcement("w-0", users=[0]))
        first.announce(announcement("w-0", users=[0]))
        second.announce(announcement("w-1", users=[1]))
        second.withdraw()
        first._producer.flush(10)
        assert read_workers(settings) == [announcement("w-0", users=[0])]
        first.withdraw()
        first.withdraw()
        assert read_workers(settings) == []

    def test_a_broker_without_the_topic_is_an_error_in_words(self, settings):
        with pytest.raises(BrokerUnavailableError, match=r"workers\.v1"):
            read_workers(settings)
