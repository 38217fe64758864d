"""A partition of a worker, as the metrics see it."""

from typing import NamedTuple

from streams.engine.partition import TopicPartition


class Held(NamedTuple):
    """A partition that the worker holds.

    Parameters
    ----------
    agent
        Which agent handles it.
    source
        Its topic and number.
    opened
        Whether it is restored and read.
    unapplied
        Records fetched and not applied yet.
    """

    agent: str
    source: TopicPartition
    opened: bool
    unapplied: int
