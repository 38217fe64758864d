"""Models on their way to the compacted topic of snapshots."""

from streams.agents.report import Report
from streams.encode import encode_snapshot
from streams.engine.handler import Output
from streams.model_rows import day_key
from streams.schemas import ModelSnapshot


def published(snapshot: ModelSnapshot, models: str, report: Report) -> list[Output]:
    """Return a model as the newest one, and as the last one of its day, to which one may go back.

    Parameters
    ----------
    snapshot
        The model.
    models
        Full name of the snapshot topic.
    report
        Takes what is measured.
    """
    key, value = encode_snapshot(snapshot)
    keys = (key, day_key(snapshot.model, snapshot.event_time))
    report.outputs(models, len(keys))
    return [Output(models, 0, one, value) for one in keys]
