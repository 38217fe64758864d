"""Rows of the shop's compacted topics that every worker refuses: each is its own dead letter."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from online_models.errors import KeepstreamError
from streams import compacted, topics
from streams.agents.shop import catalogue_item, list_rule
from streams.settings import Settings
from streams.topics import Topic

_READERS: Final[Mapping[Topic, Callable[[bytes, bytes], Any]]] = {
    topics.CATALOGUE: catalogue_item,
    topics.RULES: list_rule,
}


class RefusedRow(NamedTuple):
    """A row that workers refuse.

    Parameters
    ----------
    topic
        Full name of its topic.
    key
        Its key.
    reason
        What is wrong with it.
    """

    topic: str
    key: bytes
    reason: str


def refused_rows(settings: Settings) -> Iterator[RefusedRow]:
    """Yield the rows of catalogue and rules that are refused now; one that was replaced is none any more.

    Raises
    ------
    TopicsError
        If a topic is missing.
    """
    for topic, read in _READERS.items():
        name = topic.full_name(settings)
        for key, value in compacted.rows_of(settings, name).items():
            try:
                read(key, value)
            except KeepstreamError as error:
                yield RefusedRow(name, key, str(error))
