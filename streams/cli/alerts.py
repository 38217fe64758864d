"""`keepstream alerts`: try an alert policy on a log before it reaches anybody."""

import json
import math
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from streams.cli.options import Config, Json

if TYPE_CHECKING:
    from online_models.evaluation.alerts import AlertReport

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

_SHOWN_DAYS: Final = 14
_BAR: Final = 40
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@app.callback()
def _alerts() -> None:
    """Try an alert policy on a log."""


@app.command("simulate")
def simulate(
    events: Annotated[
        list[str],
        typer.Option("--events", metavar="FILE", help="Events in any layout that replay knows; repeatable."),
    ],
    *,
    horizon: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Silence that counts as churn.")
    ] = None,
    rule: Annotated[str | None, typer.Option(help="risk, value or effect.")] = None,
    threshold: Annotated[float | None, typer.Option(help="Probability at which to alert.")] = None,
    budget: Annotated[float | None, typer.Option(help="Alerts a day at most.")] = None,
    cooldown: Annotated[
        str | None, typer.Option(metavar="DURATION", help="Least time between two of a user.")
    ] = None,
    cost: Annotated[float | None, typer.Option(help="What an alert costs.")] = None,
    cap: Annotated[int | None, typer.Option(help="Alerts of a user within alert_cap_window.")] = None,
    quiet_hours: Annotated[
        str | None, typer.Option("--quiet-hours", help="Hours like 21:00-08:00, with --time-zone.")
    ] = None,
    time_zone: Annotated[str | None, typer.Option("--time-zone", help="Name like Europe/Berlin.")] = None,
    layout: Annotated[
        str | None, typer.Option("--format", help="Layout of the files; else their first rows tell.")
    ] = None,
    mapping: Annotated[
        list[str] | None,
        typer.Option("--map", metavar="FIELD=COLUMN", help="Column of a field, or FIELD:=TEXT; repeatable."),
    ] = None,
    json_: Json = False,
    config: Config = None,
) -> None:
    """Run the model and the alert policy over a log, and say what it would have sent, how rightly, how early.

    Everything else is as the settings say; nothing is sent. The model learns on the way as it would live, so
    the first alerts come once enough labels have matured. For example:

      keepstream alerts simulate --events events.jsonl --budget 20 --quiet-hours 21:00-08:00 --time-zone UTC
    """
    from online_models.evaluation.alerts import AlertTrial
    from online_models.pipeline import Pipeline
    from streams.cli.evaluate_input import TimedEvents
    from streams.settings import load, milliseconds
    from streams.store_settings import pipeline_settings

    settings = load(
        config,
        horizon=horizon,
        alert_rule=rule,
        alert_threshold=threshold,
        alert_budget=budget,
        alert_cooldown=cooldown,
        alert_cost=cost,
        alert_cap=cap,
        quiet_hours=quiet_hours,
        time_zone=time_zone,
    )
    source = TimedEvents(events, layout, mapping)
    pipeline, trial = Pipeline(pipeline_settings(settings)), AlertTrial(milliseconds(settings.churn.horizon))
    for part in source.batches("simulate"):
        for step in pipeline.steps(part):
            trial.observe(part.take(step.effects.accepted + step.start))
            trial.take(step.effects.alerts, step.effects.withheld)
    report = trial.report()
    for line in source.lines():
        typer.echo(line, err=True)
    if json_:
        print(json.dumps(document(report), indent=2))
    else:
        _show(report)


def document(report: "AlertReport") -> dict[str, Any]:
    """Return the report as JSON carries it: days as dates, what is not defined as null."""
    plain = asdict(report) | {
        "per_day": {_date(day): count for day, count in report.per_day.items()},
        "precision": {
            "share": report.precision.difference,
            "low": report.precision.low,
            "high": report.precision.high,
        },
    }
    return {name: _defined(value) for name, value in plain.items()}


def _defined(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _defined(part) for name, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _show(report: "AlertReport") -> None:
    print(f"{report.alerts:,} alerts to {report.users:,} users in {report.days:.0f} days")
    if report.judged:
        found = report.precision
        print(
            f"precision      {found.difference:.1%} [{found.low:.1%}, {found.high:.1%}] "
            f"of {report.judged:,} whose horizon has passed stayed away"
        )
    if not math.isnan(report.lead_days):
        print(f"lead time      {report.lead_days:.1f} days, median")
    print(f"expected value {report.expected_value:,.2f}")
    withheld = ", ".join(f"{count:,} by {reason}" for reason, count in sorted(report.withheld.items()))
    print(f"not sent       {withheld or 'none'}")
    shown = list(report.per_day.items())[-_SHOWN_DAYS:]
    most = max((count for _, count in shown), default=1)
    for day, count in shown:
        print(f"{_date(day)} {count:6,} {'█' * max(1, count * _BAR // most)}")


def _date(day: int) -> str:
    return (_EPOCH + timedelta(days=day)).date().isoformat()
