"""The trainer agent: the one place where models learn; it publishes them as plain numbers."""

from collections.abc import Iterable, Sequence
from typing import Any

from online_models.churn.labels import ExampleBatch
from online_models.churn.trainer import TrainerSettings, TrainerStore
from streams import encode
from streams.agents.report import Report
from streams.engine.handler import Output, Record, Row


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
        """Finish loading."""
        self.store.restored()

    def apply(self, records: Sequence[Record]) -> Sequence[Output]:
        """Learn label by label, and publish snapshots that are due."""
        outputs = []
        for record in records:
            self.store.apply(ExampleBatch.unpack(record.value or b""))
            if self.store.snapshot_due():
                outputs.append(
                    Output(self._models, 0, b"churn", encode.model_snapshot(self.store.snapshot()))
                )
        self._report.outputs(self._models, len(outputs))
        for model, metrics in self.store.quality().items():
            for name, value in metrics.items():
                self._report.model_quality(model, name, value)
        return outputs

    def tick(self, now_ms: int) -> Sequence[Output]:  # noqa: ARG002  # models learn from labels only
        """Do nothing: models learn from labels, not from time."""
        return ()

    def dirty_rows(self) -> Sequence[Row]:
        """Return the rows changed since the last checkpoint."""
        return self.store.dirty_rows()

    def poison(self, record: Record, error: BaseException) -> Sequence[Output]:
        """Refuse: a record another worker wrote cannot be somebody's bad input."""
        raise error

    def card(self) -> dict[str, Any]:
        """Return the model card, ready for JSON."""
        return self.store.card()
