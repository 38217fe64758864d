"""The book of experiments as a snapshot, and as what lookups answer."""

import math
from typing import Final

from online_models.churn.scorer import SNAPSHOT_VERSION
from online_models.experiments.book import Estimate, ExperimentBook
from streams.encode import sealed
from streams.schemas import (
    ExperimentMeasure,
    ExperimentResult,
    ExperimentResults,
    ExperimentVariant,
    ModelSnapshot,
)

EXPERIMENTS: Final = "experiments"


def snapshot(book: ExperimentBook, latest_ms: int) -> ModelSnapshot:
    """Return the book as it is broadcast, and the end of the latest window in it."""
    return sealed(
        ModelSnapshot(
            model=EXPERIMENTS,
            model_version=f"{EXPERIMENTS}-{book.version}",
            event_time=latest_ms,
            examples=book.outcomes,
            format=SNAPSHOT_VERSION,
            state=book.state(),
        )
    )


def results(book: ExperimentBook, alpha: float) -> ExperimentResults:
    """Return what lookups answer.

    Parameters
    ----------
    book
        What has come of the experiments.
    alpha
        Chance that a bound is wrong at any time.
    """
    return ExperimentResults(
        alpha,
        [
            ExperimentResult(
                one.name,
                one.began_ms,
                one.latest_ms,
                one.uneven,
                [
                    ExperimentVariant(
                        variant.name,
                        variant.control,
                        variant.users,
                        {name: _measure(found) for name, found in variant.measures.items()},
                    )
                    for variant in one.variants
                ],
            )
            for one in book.report(alpha)
        ],
    )


def _measure(found: Estimate) -> ExperimentMeasure:
    return ExperimentMeasure(
        found.users,
        _known(found.rate),
        _known(found.low),
        _known(found.high),
        _known(found.difference),
        _known(found.difference_low),
        _known(found.difference_high),
        found.verdict,
    )


def _known(value: float) -> float | None:
    return round(value, 6) if math.isfinite(value) else None
