"""The agents of a worker in one process, without a broker: records in, outputs handed on at once."""

from collections.abc import Iterator, Sequence
from functools import partial

from online_models.evaluation.live_lists import LiveLists
from online_models.items.rank_trainer import RankTrainerSettings
from online_models.items.recommender import Recommender
from streams import topics
from streams.agents.broadcast import Broadcast
from streams.agents.items import ItemsHandler
from streams.agents.ranker import RankerHandler
from streams.agents.trainer import TrainerHandler
from streams.agents.users import UsersHandler, UsersTopics
from streams.decode import Decoder
from streams.engine.handler import Handler, Output, Record
from streams.metrics import Metrics
from streams.settings import Settings, milliseconds
from streams.store_settings import cooccurrence_settings, policy_settings, trainer_settings, user_settings


class OneProcess:
    """Users, items, trainer and ranker of one partition.

    Parameters
    ----------
    settings
        Of the worker.
    """

    def __init__(self, settings: Settings) -> None:
        name = partial(_name, settings)
        metrics = Metrics()
        self.neighbours, self.models = name(topics.NEIGHBOURS), name(topics.MODELS)
        self.broadcast = Broadcast(
            {},
            self.neighbours,
            self.models,
            cooccurrence_settings(settings),
            horizon_ms=milliseconds(settings.churn.horizon),
        )
        self.users = UsersHandler(
            user_settings(settings, 1),
            decoder=Decoder(),
            recommender=Recommender(policy=policy_settings(settings)),
            list_length=settings.recommendations.list_length,
            partition=0,
            partitions=1,
            topics=UsersTopics(
                events=name(topics.EVENTS),
                dead_letters=name(topics.DEAD_LETTERS),
                item_pairs=name(topics.ITEM_PAIRS),
                examples=name(topics.EXAMPLES),
                rank_examples=name(topics.RANK_EXAMPLES),
                scores=name(topics.SCORES),
                alerts=name(topics.ALERTS),
                interventions=name(topics.INTERVENTIONS),
                profiles=name(topics.PROFILES),
                retention=name(topics.RETENTION),
                recommendations=name(topics.RECOMMENDATIONS),
            ),
            broadcast=self.broadcast,
            live=LiveLists(),
            report=metrics,
        )
        self.readers: dict[str, Handler] = {
            name(topics.ITEM_PAIRS): ItemsHandler(
                cooccurrence_settings(settings), 0, self.neighbours, metrics
            ),
            name(topics.EXAMPLES): TrainerHandler(trainer_settings(settings), self.models, metrics),
            name(topics.RANK_EXAMPLES): RankerHandler(RankTrainerSettings(), self.models, metrics),
        }
        for handler in (self.users, *self.readers.values()):
            handler.restored()

    def apply(self, records: Sequence[Record]) -> list[Output]:
        """Take records of events and return everything that was produced, by whichever agent."""
        found = list(self.users.apply(records))
        for topic, handler in self.readers.items():
            if mail := list(_records(topic, found, records[-1].timestamp)):
                found += handler.apply(mail)
        for topic, take in (
            (self.neighbours, self.broadcast.take_neighbours),
            (self.models, self.broadcast.take_models),
        ):
            if rows := [(one.key or b"", one.value) for one in found if one.topic == topic]:
                take(rows)
        return found

    def checkpoint(self) -> int:
        """Take the changed rows, as a checkpoint does, and return how many there were."""
        return sum(len(handler.dirty_rows()) for handler in (self.users, *self.readers.values()))


def _records(topic: str, outputs: Sequence[Output], sent_ms: int) -> Iterator[Record]:
    for number, output in enumerate(one for one in outputs if one.topic == topic):
        yield Record(number, sent_ms, output.key, output.value)


def _name(settings: Settings, topic: topics.Topic) -> str:
    return topic.full_name(settings)
