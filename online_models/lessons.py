"""What the trainer learns from: columns of several kinds, which share one log."""

from online_models.churn.labels import ExampleBatch
from online_models.experiments.outcomes import ExperimentOutcomes
from online_models.winback.outcomes import OutcomeBatch

Lesson = ExampleBatch | OutcomeBatch | ExperimentOutcomes


def unpack(data: bytes) -> Lesson:
    """Return the labels, or the outcomes of win-back decisions or of experiments, that their `pack` wrote.

    Raises
    ------
    CorruptStateError
        When the bytes are none of them.

    Examples
    --------
    >>> type(unpack(ExperimentOutcomes.of([]).pack())).__name__
    'ExperimentOutcomes'
    """
    if OutcomeBatch.packed(data):
        return OutcomeBatch.unpack(data)
    if ExperimentOutcomes.packed(data):
        return ExperimentOutcomes.unpack(data)
    return ExampleBatch.unpack(data)
