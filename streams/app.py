"""The topology on one page: four agents, four kinds of state, two broadcasts; and their worker."""

import asyncio
import logging
from pathlib import Path
from typing import Final

from online_models.evaluation.live_lists import LiveLists
from online_models.items.recommender import Recommender
from streams import clients, topics
from streams.agents.broadcast import Broadcast
from streams.agents.experiments import results
from streams.agents.items import ItemsHandler
from streams.agents.ranker import RankerHandler
from streams.agents.shop import ShopReader
from streams.agents.trainer import TrainerHandler
from streams.agents.users import UsersHandler, UsersTopics
from streams.api import Server
from streams.decode import Decoder
from streams.engine import group, membership, probe, runner
from streams.engine.instance import Instance
from streams.engine.runtime import Runtime
from streams.engine.settings import EngineSettings
from streams.metrics import Metrics
from streams.settings import Settings, milliseconds
from streams.store_settings import (
    cooccurrence_settings,
    policy_settings,
    ranker_settings,
    shop_of,
    trainer_settings,
    user_settings,
)

log = logging.getLogger(__name__)

USERS: Final = "users"
ITEMS: Final = "items"
TRAINER: Final = "trainer"
RANKER: Final = "ranker"

_PROBE_HANGS_S: Final = 90.0
"""The calls of one try add up to less, as long as the Kafka client keeps its timeouts."""


class Worker:
    """One worker: the engine with its four agents, the broadcast reader, metrics and lookups.

    Parameters
    ----------
    settings
        With the broker's address filled in.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.live = LiveLists()
        self._config = clients.confluent(settings.broker)
        self._instance = Instance(_locks(settings), settings.engine.instance or None)
        self.broadcast = Broadcast(
            self._config,
            topics.NEIGHBOURS.full_name(settings),
            topics.MODELS.full_name(settings),
            cooccurrence_settings(settings),
            horizon_ms=milliseconds(settings.churn.horizon),
            shop=ShopReader(
                shop_of(settings),
                topics.CATALOGUE.full_name(settings),
                topics.RULES.full_name(settings),
                lambda shop: self.metrics.shop(len(shop.catalogue), len(shop.rules)),
            ),
            on_taken=self._taken,
            on_refused=self.metrics.broadcast_refused,
            on_experiments=lambda book: self.metrics.experiments(
                results(book, settings.experiments.experiment_alpha)
            ),
        )
        self.runtime = self._runtime()
        self.runtime.agent(
            USERS,
            topics.EVENTS.full_name(settings),
            topics.USERS_CHANGELOG.full_name(settings),
            self._users,
        )
        self.runtime.agent(
            ITEMS,
            topics.ITEM_PAIRS.full_name(settings),
            topics.ITEMS_CHANGELOG.full_name(settings),
            self._items,
        )
        self.runtime.agent(
            TRAINER,
            topics.EXAMPLES.full_name(settings),
            topics.TRAINER_CHANGELOG.full_name(settings),
            self._trainer,
        )
        self.runtime.agent(
            RANKER,
            topics.RANK_EXAMPLES.full_name(settings),
            topics.RANKER_CHANGELOG.full_name(settings),
            self._ranker,
        )
        self.server = Server(self)

    async def run(self) -> int:
        """Run until SIGTERM, SIGINT or a failure; return the exit code."""
        membership.check_layout()
        await asyncio.to_thread(self._try_broker)
        self.broadcast.start()
        await self.server.start()
        try:
            return await runner.run(self.runtime)
        finally:
            await self.server.stop()
            self.broadcast.stop()
            if self.settings.engine.leave_on_stop:
                await asyncio.to_thread(self._leave)
            self._instance.release()

    def _taken(self, topic: str, rows: int) -> None:
        self.metrics.broadcast_taken(topic, rows)
        table = self.broadcast.table
        self.metrics.broadcast_items(len(table), table.nbytes)

    def _leave(self) -> None:
        config = clients.kafka_python(self.settings.broker)
        group.leave(config, self.settings.engine.group, self._instance.name)

    def _try_broker(self) -> None:
        """Say how far the promise reaches on this broker, and keep a second worker off where it must."""
        name, instance = self.settings.engine.group, self._instance.name
        deadline_s = self.settings.broker.broker_wait.total_seconds()
        hanging = runner.end_process_after(deadline_s + _PROBE_HANGS_S, 1, "trying the broker hangs")
        try:
            found = probe.probe(
                self._config,
                topics.PROBE.full_name(self.settings),
                f"{name}-probe",
                deadline_s=deadline_s,
            )
        finally:
            hanging.cancel()
        log.info("broker tried: good for %s", found.workers)
        if not found.hides_aborted:
            log.warning("this broker shows aborted records to readers: outputs may be seen twice")
        # Before anything is opened: the worker joins its group only after this.
        self.runtime.transactional_id.changing = not found.forgets_aborted
        if not found.refuses_strangers:
            probe.check_alone(self._config, name, instance)

    def _runtime(self) -> Runtime:
        settings, engine, broker = self.settings, self.settings.engine, self.settings.broker
        app = runner.create_app(
            engine.group,
            clients.faust_url(broker),
            instance=self._instance.name,
            datadir=engine.data_dir / "faust",
            session_timeout_s=engine.session_timeout.total_seconds(),
            rebalance_timeout_s=engine.rebalance_timeout.total_seconds(),
            broker_wait_s=broker.broker_wait.total_seconds(),
            batch_records=engine.fetch_max_records,
            broker_credentials=clients.faust_credentials(broker),
        )
        return Runtime(
            app,
            EngineSettings(
                instance=self._instance.name,
                transactional_id_file=_locks(settings) / f"{self._instance.name}.transactional-id",
                checkpoint_interval_s=engine.checkpoint_interval.total_seconds(),
                transaction_timeout_s=engine.transaction_timeout.total_seconds(),
                commit_deadline_s=engine.commit_deadline.total_seconds(),
                restore_deadline_s=engine.restore_deadline.total_seconds(),
                revoke_deadline_s=engine.revoke_deadline.total_seconds(),
                stop_deadline_s=engine.stop_deadline.total_seconds(),
                join_deadline_s=engine.join_deadline.total_seconds(),
                stall_deadline_s=engine.stall_deadline.total_seconds(),
                max_pending_records=engine.max_pending_rows,
                max_pending_bytes=engine.max_pending_bytes,
                accept_gap=engine.accept_gap,
                live_clock=settings.clock.clock == "live",
            ),
            self._config,
            observer=self.metrics,
            # Events met without model and neighbours would go without alerts and lists, for good.
            informed=lambda: self.broadcast.ready,
        )

    def _users(self, partition: int) -> UsersHandler:
        settings = self.settings
        return UsersHandler(
            user_settings(settings, self._partitions),
            decoder=Decoder(
                max_event_bytes=settings.events.max_event_bytes,
                future_tolerance_ms=milliseconds(settings.events.future_tolerance),
                pseudonyms=settings.privacy.pseudonyms,
            ),
            recommender=Recommender(policy=policy_settings(settings)),
            list_length=settings.recommendations.list_length,
            partition=partition,
            partitions=self._partitions,
            topics=UsersTopics(
                events=topics.EVENTS.full_name(settings),
                dead_letters=topics.DEAD_LETTERS.full_name(settings),
                item_pairs=topics.ITEM_PAIRS.full_name(settings),
                examples=topics.EXAMPLES.full_name(settings),
                rank_examples=topics.RANK_EXAMPLES.full_name(settings),
                scores=topics.SCORES.full_name(settings),
                alerts=topics.ALERTS.full_name(settings),
                interventions=topics.INTERVENTIONS.full_name(settings),
                profiles=topics.PROFILES.full_name(settings),
                retention=topics.RETENTION.full_name(settings),
                recommendations=topics.RECOMMENDATIONS.full_name(settings),
            ),
            broadcast=self.broadcast,
            live=self.live,
            report=self.metrics,
        )

    def _items(self, partition: int) -> ItemsHandler:
        return ItemsHandler(
            cooccurrence_settings(self.settings),
            partition,
            topics.NEIGHBOURS.full_name(self.settings),
            self.metrics,
        )

    def _trainer(self, partition: int) -> TrainerHandler:  # noqa: ARG002  # there is only one
        return TrainerHandler(
            trainer_settings(self.settings), topics.MODELS.full_name(self.settings), self.metrics
        )

    def _ranker(self, partition: int) -> RankerHandler:  # noqa: ARG002  # there is only one
        return RankerHandler(
            ranker_settings(self.settings), topics.MODELS.full_name(self.settings), self.metrics
        )

    @property
    def _partitions(self) -> int:
        return self.settings.topics.events_partitions


def build(settings: Settings) -> Worker:
    """Return a worker for these settings; call it in the event loop that runs the worker."""
    return Worker(settings)


def _locks(settings: Settings) -> Path:
    return settings.engine.data_dir / "instances"
