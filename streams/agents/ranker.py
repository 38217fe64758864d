"""The ranker agent: learns from what users touched next, and publishes rankers as plain numbers."""

import logging
import math
from collections.abc import Iterable, Sequence

from online_models.items.rank_examples import RankExamples
from online_models.items.rank_trainer import PublishedRanker, RankTrainerSettings, RankTrainerStore
from streams.agents import documents
from streams.agents.internal import unpack_all
from streams.agents.publishing import published
from streams.agents.report import Report
from streams.engine.handler import Output, Record, Row

log = logging.getLogger(__name__)


class RankerHandler:
    """Owns the ranker; its examples topic has one partition, so one network sees every set.

    Parameters
    ----------
    settings
        Of the store.
    models
        Full name of the snapshot topic.
    report
        Takes what is measured.
    """

    def __init__(self, settings: RankTrainerSettings, models: str, report: Report) -> None:
        self.store = RankTrainerStore(settings)
        self._models, self._report = models, report

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load changelog rows."""
        self.store.restore(rows)

    def restored(self) -> None:
        """Finish loading."""
        self.store.restored()

    def apply(self, records: Sequence[Record]) -> Sequence[Output]:
        """Learn set by set, and publish rankers that are due."""
        rankers: list[PublishedRanker] = []
        for examples in unpack_all(records, RankExamples.unpack):
            rankers += self.store.apply(examples)
        for metric, value in self.store.card().items():
            if not math.isnan(value):
                self._report.model_quality(documents.RANKER, metric, value)
        # The topic is compacted and readers want the newest only.
        return [row for one in rankers[-1:] for row in self._snapshot(one)]

    def _snapshot(self, ranker: PublishedRanker) -> list[Output]:
        """Return a ranker for the topic of models, and say so."""
        snapshot = documents.ranker_snapshot(ranker)
        log.info(
            "%s published after %d sets",
            *(snapshot.model_version, snapshot.examples),
            extra={"model_version": snapshot.model_version, "sets": snapshot.examples},
        )
        return published(snapshot, self._models, self._report)

    def tick(self, now_ms: int) -> Sequence[Output]:  # noqa: ARG002  # rankers learn from touches only
        """Do nothing: rankers learn from touches, not from time."""
        return ()

    def idle(self, now_ms: int) -> Sequence[Output]:  # noqa: ARG002  # see below
        """Do nothing: nothing is held back."""
        return ()

    def dirty_rows(self) -> Sequence[Row]:
        """Return the rows changed since the last checkpoint."""
        return self.store.dirty_rows()

    def poison(self, record: Record, error: BaseException) -> Sequence[Output]:  # noqa: ARG002  # see below
        """Refuse: a record another worker wrote cannot be somebody's bad input."""
        raise error
