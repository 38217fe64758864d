"""`keepstream evaluate`: how good the models are on a file, event by event, beside simple baselines."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import Config, Json
from streams.errors import SettingsError

if TYPE_CHECKING:
    from online_models.events import EventBatch
    from online_models.pipeline import Pipeline
    from streams.cli.evaluate_input import TimedEvents
    from streams.settings import Settings

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

Events = Annotated[
    list[str],
    typer.Option("--events", metavar="FILE", help="Events in any layout that replay knows; repeatable."),
]
TestFrom = Annotated[
    str | None,
    typer.Option(
        "--test-from", metavar="TIME", help="Judge from this time on: RFC 3339, or a share like 50%."
    ),
]
Layout = Annotated[
    str | None, typer.Option("--format", help="Layout of the files; else their first rows tell.")
]
Mapping = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="Column of a field, or FIELD:=TEXT; repeatable."),
]


@app.callback()
def _evaluate() -> None:
    """Judge recommendations or churn scores on a file.

    All stores run in this process without a broker; each event is predicted before it is learned. Files are
    sorted by event time first.
    """


@app.command("recommendations")
def recommendations(
    events: Events,
    *,
    test_from: TestFrom = None,
    test_events: Annotated[
        list[str] | None,
        typer.Option("--test-events", metavar="FILE", help="Judge on these files, after all of --events."),
    ] = None,
    freeze: Annotated[bool, typer.Option("--freeze", help="Learn nothing from what is judged.")] = False,
    baskets: Annotated[
        bool, typer.Option("--baskets", help="Half of each event's items is given, any of the rest is a hit.")
    ] = False,
    lists: Annotated[
        bool, typer.Option("--lists", help="Judge the lists that would be shown besides: policy, catalogue.")
    ] = False,
    catalog: Annotated[
        str | None, typer.Option(metavar="FILE", help="With --lists: the shop's items, all known at once.")
    ] = None,
    min_history: Annotated[int, typer.Option(min=0, help="Earlier touches in the session of a case.")] = 1,
    k: Annotated[int, typer.Option("-k", min=1, max=200, help="Length of the lists.")] = 20,
    layout: Layout = None,
    mapping: Mapping = None,
    json_: Json = False,
    config: Config = None,
) -> None:
    """Was the next touched item in the list? Hit rate and MRR beside popularity, co-occurrence, own history.

    A case is a touch of an item with earlier touches in its session, which are its history; repeats count,
    and items never seen before are misses. Without --test-from and --test-events the last half by time is
    judged. For example:

      keepstream evaluate recommendations --events events.jsonl --json
    """
    from online_models.evaluation.recommendations import RecommendationTrial, RecommendationTrialSettings
    from streams.cli.evaluate_input import TimedEvents, moment
    from streams.cli.evaluate_report import document, show_recommendations
    from streams.settings import load, milliseconds

    if test_from and test_events:
        raise SettingsError("--test-from and --test-events exclude each other")
    loaded = load(config)
    learned = TimedEvents(events, layout, mapping)
    tested = TimedEvents(test_events, layout, mapping) if test_events else None
    start_ms = learned.last_ms + 1 if tested else moment(test_from or "50%", learned)
    trial_settings = RecommendationTrialSettings(
        k=k,
        min_history=min_history,
        freeze=freeze,
        baskets=baskets,
        lists=lists,
        session_gap_ms=milliseconds(loaded.events.session_gap),
    )
    started = time.monotonic()
    pipeline = _pipeline(loaded)
    if catalog is not None:
        if not lists:
            raise SettingsError("--catalog needs --lists: the ranking itself knows no catalogue")
        from streams.cli.evaluate_input import read_catalogue

        read_catalogue(catalog, pipeline.shop)
    trial = RecommendationTrial(pipeline, trial_settings)
    for part in learned.batches("learn and judge" if tested is None else "learn"):
        before, after = _cut(part, start_ms)
        trial.learn(before)
        trial.test(after)
    for part in tested.batches("judge") if tested else ():
        trial.test(part)
    report = trial.report()
    read = [source for source in (learned, tested) if source]
    settings = (
        _described(read, started)
        | asdict(trial_settings)
        | {
            "test_from": None if tested else _rfc3339(start_ms),
            "tested": f"on {', '.join(test_events or ())}" if tested else f"from {_rfc3339(start_ms)}",
        }
    )
    _say_left_out(read)
    if json_:
        print(json.dumps(document(report, settings), indent=2))
    else:
        show_recommendations(report, settings, k)


@app.command("churn")
def churn(
    events: Events,
    *,
    horizon: Annotated[str, typer.Option(metavar="DURATION", help="Silence that counts as churn: 28d, 12h.")],
    test_from: TestFrom = None,
    budget: Annotated[int, typer.Option(min=1, help="Users a week for the precision at budget.")] = 100,
    lightgbm: Annotated[
        bool, typer.Option("--lightgbm", help="Compare with LightGBM too, refitted weekly; slow.")
    ] = False,
    no_drift_reaction: Annotated[
        bool, typer.Option("--no-drift-reaction", help="Leave step sizes alone when losses rise.")
    ] = False,
    change: Annotated[
        str | None,
        typer.Option("--change", metavar="TIME", help="What this change cost, with and without reaction."),
    ] = None,
    layout: Layout = None,
    mapping: Mapping = None,
    json_: Json = False,
    config: Config = None,
) -> None:
    """Who stays silent for the horizon? AUC, losses and lift beside base rate, recency and BG/NBD.

    Users are scored at weekly landmarks; a label counts once it has matured, a horizon later. Every model
    that competes for the score is judged, and users who never came back once more by themselves. --change
    tells what a change cost, with and without the reaction to drift. Without --test-from landmarks count
    from two horizons and a week after the first activity on. For example:

      keepstream evaluate churn --events events.jsonl --horizon 28d
    """
    from online_models.churn.trainer import TrainerStore
    from online_models.evaluation.churn import UNMOVED, ChurnTrial, ChurnTrialSettings
    from streams.cli.evaluate_input import TimedEvents, moment
    from streams.cli.evaluate_report import document, show_churn
    from streams.settings import load, milliseconds

    if change and no_drift_reaction:
        raise SettingsError("--change and --no-drift-reaction exclude each other: --change tells of both")
    loaded = load(config, horizon=horizon)
    source = TimedEvents(events, layout, mapping)
    trial_settings = ChurnTrialSettings(
        horizon_ms=milliseconds(loaded.churn.horizon),
        test_from_ms=moment(test_from, source) if test_from else None,
        budget=budget,
        lightgbm=lightgbm,
        change_ms=moment(change, source, "--change") if change else None,
    )
    started = time.monotonic()
    trial = ChurnTrial(trial_settings)
    pipeline = _pipeline(loaded, forget=1.0 if no_drift_reaction else None)
    unmoved = TrainerStore(replace(pipeline.settings.trainer, forget=1.0)) if change else None
    for part in source.batches("score and learn"):
        for step in pipeline.steps(part):
            if step.tick_ms is None:
                trial.observe(part.take(step.effects.accepted + step.start))
            else:
                trial.warn(step.effects.alerts)
                rivals = pipeline.trainer.challengers() if len(step.effects.examples) else None
                if unmoved and rivals:
                    unmoved.apply(step.effects.examples)
                    rivals[UNMOVED] = unmoved.scorer()
                trial.take(step.effects.examples, pipeline.scorer, step.tick_ms, rivals)
    report = trial.report()
    settings = (
        _described([source], started)
        | asdict(trial_settings)
        | {
            "test_from": _rfc3339(report.test_from_ms),
            "drift_reaction": not no_drift_reaction,
            "hazard_step": str(loaded.churn.hazard_step).removesuffix(", 0:00:00"),
            "horizon": str(timedelta(milliseconds=trial_settings.horizon_ms)).removesuffix(", 0:00:00"),
        }
    )
    _say_left_out([source])
    if json_:
        print(json.dumps(document(report, settings), indent=2))
    else:
        show_churn(report, settings)


def _pipeline(settings: "Settings", forget: float | None = None) -> "Pipeline":
    from online_models.pipeline import Pipeline
    from streams.store_settings import pipeline_settings

    stores = pipeline_settings(settings)
    if forget is not None:
        stores = replace(stores, trainer=replace(stores.trainer, forget=forget))
    return Pipeline(stores)


def _cut(part: "EventBatch", start_ms: int) -> tuple["EventBatch", "EventBatch"]:
    """Return the events before a time and from it on; they come in time order."""
    import numpy as np

    place = int(np.searchsorted(part.time, start_ms))
    return part.take(np.arange(place)), part.take(np.arange(place, len(part)))


def _described(read: list["TimedEvents"], started: float) -> dict[str, Any]:
    return {
        "layouts": [name for source in read for name in source.layouts],
        "events": sum(source.total for source in read),
        "left_out": _merged(source.skipped for source in read),
        "seconds": round(time.monotonic() - started, 1),
    }


def _merged(counts: Iterator[dict[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in counts:
        for reason, count in part.items():
            found[reason] = found.get(reason, 0) + count
    return found


def _say_left_out(read: list["TimedEvents"]) -> None:
    for source in read:
        for line in source.lines():
            print(line, file=sys.stderr)


def _rfc3339(time_ms: int) -> str:
    from streams.sources.progress import clock_text

    return f"{clock_text(time_ms).replace(' ', 'T')}Z"
