"""The trainer agent: the one place where models learn; it publishes them as plain numbers."""

import logging
import math
from collections.abc import Iterable, Mapping, Sequence

from online_models import lessons
from online_models.churn.labels import ExampleBatch
from online_models.churn.trainer import TrainerSettings, TrainerStore
from online_models.experiments.outcomes import ExperimentOutcomes
from online_models.winback.outcomes import OutcomeBatch
from streams.agents import documents, experiments, interventions
from streams.agents.internal import unpack_all
from streams.agents.publishing import published
from streams.agents.report import Report
from streams.engine.handler import Output, Record, Row
from streams.schemas import ModelSnapshot

log = logging.getLogger(__name__)


class TrainerHandler:
    """Owns the models; the examples topic has one partition, so one model sees every label.

    Parameters
    ----------
    settings
        Of the store.
    models
        Full name of the snapshot topic.
    report
        Takes what is measured.
    """

    def __init__(self, settings: TrainerSettings, models: str, report: Report) -> None:
        self.store = TrainerStore(settings)
        self._models, self._report = models, report

    def restore(self, rows: Iterable[tuple[bytes, bytes | None]]) -> None:
        """Load changelog rows."""
        self.store.restore(rows)

    def restored(self) -> None:
        """Finish loading, and tell what the models were worth."""
        self.store.restored()
        self._tell(self.store.card())

    def apply(self, records: Sequence[Record]) -> Sequence[Output]:
        """Learn label by label, and publish snapshots that are due."""
        found = unpack_all(records, lessons.unpack)
        examples = ExampleBatch.concat([one for one in found if isinstance(one, ExampleBatch)])
        effects = self.store.apply(examples)
        for drift in effects.drifts:
            log.info(
                "%s model: drift after %d labels, step size restored",
                *(drift.kind, drift.learned),
                extra={"model": drift.kind, "labels": drift.learned, "log_loss": drift.log_loss},
            )
            self._report.drift(drift.kind)
        for moved in effects.feature_drifts:
            log.info(
                "feature %s: drift, its mean moved by %+.2f standard deviations",
                *(moved.feature, moved.moved),
                extra={"feature": moved.feature, "moved": moved.moved},
            )
            self._report.feature_drift(moved.feature)
        # A card sorts thousands of outcomes: it is made where a model is published, not for every batch.
        for scorer in effects.scorers[-1:]:
            self._tell(scorer.card)
        # The topic is compacted and readers want the newest only.
        latest_ms = int(examples.matured_ms.max(initial=0))
        return [
            *(
                row
                for scorer in effects.scorers[-1:]
                for row in self._snapshot(documents.model_snapshot(scorer, latest_ms), ready=scorer.ready)
            ),
            *self._win_back([one for one in found if isinstance(one, OutcomeBatch)]),
            *self._experiments([one for one in found if isinstance(one, ExperimentOutcomes)]),
        ]

    def _tell(self, card: Mapping[str, float]) -> None:
        """Report the measures of the models."""
        for name, value in card.items():
            model, _, metric = name.partition("_")
            if not math.isnan(value):
                self._report.model_quality(model, metric, value)

    def _win_back(self, batches: Sequence[OutcomeBatch]) -> list[Output]:
        """Learn what came of decisions, and publish the bandit where that is due."""
        policies, latest_ms = [], 0
        for batch in batches:
            policies += self.store.winback.apply(batch)
            latest_ms = max(latest_ms, int(batch.matured_ms.max(initial=0)))
        for action, uplift in self.store.winback.uplift().items():
            self._report.uplift(action, uplift)
        return [
            row
            for policy in policies[-1:]
            for row in self._snapshot(interventions.winback_snapshot(policy, latest_ms), ready=True)
        ]

    def _experiments(self, batches: Sequence[ExperimentOutcomes]) -> list[Output]:
        """Add up what came of experiments, and publish the book where that is due."""
        due, latest_ms = False, 0
        for batch in batches:
            due |= self.store.experiments.apply(batch)
            latest_ms = max(latest_ms, int(batch.ended_ms.max(initial=0)))
        if not due:
            return []
        book = self.store.experiments
        return published(experiments.snapshot(book, latest_ms), self._models, self._report)

    def _snapshot(self, snapshot: ModelSnapshot, *, ready: bool) -> list[Output]:
        """Return a model for its topic, and say so."""
        log.info(
            "%s published after %d labels%s",
            *(snapshot.model_version, snapshot.examples, "" if ready else ", not used yet: too few"),
            extra={"model_version": snapshot.model_version, "labels": snapshot.examples},
        )
        return published(snapshot, self._models, self._report)

    def tick(self, now_ms: int) -> Sequence[Output]:  # noqa: ARG002  # models learn from labels only
        """Do nothing: models learn from labels, not from time."""
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

    def card(self) -> dict[str, float]:
        """Return the measures of the models."""
        return self.store.card()
