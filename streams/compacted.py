"""Compacted topics from outside a worker: what they hold now, and rows written to them."""

from collections.abc import Iterable

from streams.cluster import Cluster
from streams.errors import TopicsError
from streams.excerpt import excerpt
from streams.settings import Settings
from streams.writer import Writer


def rows_of(settings: Settings, topic: str) -> dict[bytes, bytes]:
    """Return the newest value under every key of a topic, keys in the order of their first row.

    Parameters
    ----------
    settings
        Where the broker is.
    topic
        Full name.

    Raises
    ------
    TopicsError
        If the broker has no such topic.
    BrokerUnavailableError
        If it could not be read.
    """
    found: dict[bytes, bytes] = {}
    with Cluster(settings) as cluster:
        places = list(cluster.copies([topic]))
        if not places:
            raise TopicsError(f"the broker has no topic {topic}; `keepstream topics create` makes it")
        stretches = cluster.stretches(places)
    for record in excerpt(settings, stretches):
        key = record.key or b""
        if record.value is None:
            found.pop(key, None)
        else:
            found[key] = record.value
    return found


def write(settings: Settings, topic: str, rows: Iterable[tuple[bytes, bytes | None]]) -> int:
    """Write rows to a topic of one partition, and return how many once the broker has all of them.

    Raises
    ------
    BrokerUnavailableError
        If it did not take a row.
    """
    writer, count = Writer(settings), 0
    for key, value in rows:
        writer.put(topic, key, value)
        count += 1
    writer.finish()
    return count
