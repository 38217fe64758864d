"""`keepstream model`: list and show the versions of a model, go back to one, and forward again."""

import json
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.cli.reach import reach

if TYPE_CHECKING:
    from streams.model_history import ModelHistory
    from streams.schemas import ModelSnapshot

_COLUMNS = {
    "churn_auc": "AUC",
    "churn_log_loss": "log loss",
    "churn_log_loss_base_rate": "base rate",
    "churn_calibration_error": "calibration",
}

_RANKER_COLUMNS = {
    "hit_rate": "HR@20",
    "mrr": "MRR@20",
    "base_hit_rate": "fixed HR",
    "base_mrr": "fixed MRR",
}
Model = Annotated[
    Literal["churn", "ranker"], typer.Option("--model", help="What scores users, or what orders lists.")
]

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    add_completion=False,
    help="List, show and roll back the churn model and the ranker.",
)


@app.command("list")
def list_(
    *,
    model: Model = "churn",
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """List the versions that can still be had, with their measures.

    The last version of each of 32 days of event time is kept, and whatever Kafka has not compacted yet.
    Measures are of the latest labels before publication, each predicted before it was learned: AUC, log loss
    beside that of the base rate, calibration error. For example:

      keepstream model list

      keepstream model list --json | jq '.[] | select(.used)'
    """
    history = _history(model, config, bootstrap_servers, topic_prefix)
    rows = [_row(snapshot, history) for snapshot in history.snapshots]
    if json_:
        print(json.dumps(rows, indent=2))
        return
    _print_table(rows, _COLUMNS if model == "churn" else _RANKER_COLUMNS)
    if history.pin:
        from streams.cli.tail_lines import clock, printable

        said = f": {printable(history.pin.reason)}" if history.pin.reason else ""
        print(f"\n{history.pin.snapshot.model_version} is pinned since {clock(history.pin.at_ms)} UTC{said}")
        print("`keepstream model resume` lets scorers use the newest version again")


@app.command()
def show(
    version: Annotated[
        str | None, typer.Argument(metavar="[VERSION]", help="Such as churn-12; else the one in use.")
    ] = None,
    *,
    model: Model = "churn",
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Show a version: its measures, its threshold, and its weights by feature.

    A weight is what one unit of the feature adds to the log-odds of leaving. For example:

      keepstream model show

      keepstream model show churn-12 --json | jq .weights
    """
    from streams.api.routes import model_card

    history = _history(model, config, bootstrap_servers, topic_prefix)
    newest = history.newest.model_version if history.newest else ""
    import msgspec

    card = msgspec.to_builtins(model_card(history.find(version), newest))
    if json_:
        print(json.dumps(card, indent=2))
    else:
        _print_card(card)


@app.command()
def rollback(
    version: Annotated[str, typer.Argument(metavar="VERSION", help="Such as churn-12; see `model list`.")],
    *,
    model: Model = "churn",
    reason: Annotated[str, typer.Option("--reason", metavar="TEXT", help="Kept beside the pin.")] = "",
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Make every worker score with an older version, at once and until `model resume`.

    The version is pinned in the models topic, so it outlasts restarts. The trainer goes on learning and
    publishing, and its measures tell when the newest version is good again; nothing that it learned is
    undone. Threshold and weights are those of the version. For example:

      keepstream model rollback churn-12 --reason "a broken tracker on 1 March"
    """
    history = _history(model, config, bootstrap_servers, topic_prefix)
    snapshot = history.roll_back(version, reason)
    newest = history.newest.model_version if history.newest else "none"
    print(f"every worker scores with {snapshot.model_version} from now on; the newest is {newest}")
    print("`keepstream model resume` ends that")


@app.command()
def resume(
    *,
    model: Model = "churn",
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Let every worker score with the newest version again.

    For example:

      keepstream model resume
    """
    history = _history(model, config, bootstrap_servers, topic_prefix)
    newest = history.newest.model_version if history.newest else "none"
    if history.pin is None:
        print(f"nothing is pinned; the newest, {newest}, is in use")
        return
    history.release()
    print(f"{history.pin.snapshot.model_version} is released; every worker scores with the newest, {newest}")


def _history(
    model: Model, config: Config, bootstrap_servers: BootstrapServers, topic_prefix: TopicPrefix
) -> "ModelHistory":
    from streams.model_history import ModelHistory

    return ModelHistory(reach(config, bootstrap_servers, topic_prefix), model)


def _row(snapshot: "ModelSnapshot", history: "ModelHistory") -> dict[str, Any]:
    scorer = snapshot.state.get("scorer") or snapshot.state.get("ranker", {})
    return {
        "model_version": snapshot.model_version,
        "event_time": snapshot.event_time,
        "labels": snapshot.examples,
        "ready": bool(scorer.get("ready")),
        "threshold": scorer.get("threshold"),
        "used": snapshot.model_version == getattr(history.used, "model_version", None),
        "newest": snapshot.model_version == getattr(history.newest, "model_version", None),
        "pinned": history.pin is not None and snapshot.model_version == history.pin.snapshot.model_version,
        "metrics": scorer.get("card", {}),
    }


def _print_table(rows: list[dict[str, Any]], columns: dict[str, str]) -> None:
    from streams.cli.aligned import aligned
    from streams.cli.tail_lines import clock

    if not rows:
        print("there is no model yet: it needs labels, which mature after the horizon")
        return
    table = [("version", "learned until (UTC)", "labels", *columns.values(), "")]
    for row in rows:
        marks = [name for name in ("used", "newest", "pinned") if row[name]]
        marks += [] if row["ready"] else ["too few labels"]
        measures = [_number(row["metrics"].get(name)) for name in columns]
        labels = f"{row['labels']:,}"
        table.append((row["model_version"], clock(row["event_time"]), labels, *measures, ", ".join(marks)))
    print("\n".join(aligned(table, right=range(2, 3 + len(columns)))))


def _print_card(card: dict[str, Any]) -> None:
    from streams.cli.tail_lines import clock

    print(
        f"{card['model_version']}, learned {card['examples']:,} labels until {clock(card['event_time'])} UTC"
    )
    if card["newest_version"] != card["model_version"]:
        print(f"the newest version is {card['newest_version']}")
    print("ready" if card["ready"] else "not used for scores: it has seen too few labels")
    if card["threshold"] is not None:
        print(f"alerts from a probability of {_number(card['threshold'])}")
    print("\nmeasures")
    for name, value in card["metrics"].items():
        print(f"  {name:<34} {_number(value):>10}")
    print(f"\nweights ({_meaning(card)})")
    for name, weight in sorted(card["weights"].items(), key=lambda pair: -abs(pair[1])):
        print(f"  {name:<34} {weight:>+10.4f}")
    print(f"  {'(constant)':<34} {card['bias'] or 0.0:>+10.4f}")


def _meaning(card: dict[str, Any]) -> str:
    """Return what the weights are, and who is champion where models compete."""
    if card["model"] != "churn":
        return "linear weights, beside a hidden layer"
    metrics = card["metrics"]
    leading = [name for name, value in metrics.items() if name.endswith("_champion") and value]
    champion = leading[0].removesuffix("_champion") if leading else ""
    by = f" of {champion}, the champion" if champion else ""
    beside = {
        "blend": ", beside the rolled hazard and BG/NBD",
        "rolled": ", beside the rolled hazard",
        "bgnbd": ", beside BG/NBD",
    }.get(champion, "")
    return f"what one unit adds to the log-odds of leaving{by}{beside}"


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:,.0f}" if float(value).is_integer() and abs(value) >= 2 else f"{value:.3f}"
