"""`keepstream interventions`: what win-back actions are worth, and what another policy would have earned."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.cli.reach import reach
from streams.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from online_models.evaluation.winback import PolicyValue
    from online_models.winback.off_policy import Estimate
    from online_models.winback.uplift import Uplift
    from streams.settings import Settings
    from streams.sources.simulator.closed_loop import LoopReport

app = typer.Typer(no_args_is_help=True, add_completion=False, rich_markup_mode=None)

_POLL_S: Final = 0.2


@app.callback()
def _interventions() -> None:
    """Show what win-back actions are worth."""


@app.command("report")
def report(
    *,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Print the uplift of every action over the holdout, from the outcomes in the topic.

    Weighted by the logged propensities: whoever got an action was picked for it, so plain return rates
    compare different people. For example:

      keepstream interventions report --json
    """
    found = read_uplift(reach(config, bootstrap_servers, topic_prefix))
    if json_:
        print(json.dumps(_plain({name: asdict(uplift) for name, uplift in found.items()}), indent=2))
    elif not found:
        print("no outcome is known yet: each takes a horizon")
    else:
        _show_uplift(found)


@app.command("evaluate")
def evaluate(
    file: Annotated[
        Path, typer.Argument(help="JSON lines of `keepstream tail interventions --raw`, or a table.")
    ],
    *,
    control: Annotated[str, typer.Option(help="The action that others are compared with.")] = "none",
    action: Annotated[str | None, typer.Option(metavar="COLUMN", help="Of a table: what was done.")] = None,
    reward: Annotated[str | None, typer.Option(metavar="COLUMN", help="Of a table: what it gave.")] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Of a table: what was known before; repeatable."),
    ] = None,
    propensity: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Of a table: chance of the action; else its share.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the order in which the policy learns.")] = 7,
    json_: Json = False,
) -> None:
    """Print what a learned policy, uniform choice and each action for everybody would have earned.

    Three estimators: inverse propensity (IPS), self-normalised (SNIPS), doubly robust (DR), each with an
    interval of 95 %. The policy is judged on every case before it learns from it. For example:

      keepstream interventions evaluate hillstrom.csv --action treatment --reward visit
      --control "No E-Mail" --context recency --context history --context newbie
    """
    from online_models.evaluation.winback import evaluate_policies
    from streams.sources.decisions import experiment, is_table, logged_interventions

    if is_table(file):
        if action is None or reward is None or not context:
            raise SourceError(f"{file} is a table: say --action, --reward and --context")
        log = experiment(file, action, reward, context, propensity)
    else:
        log = logged_interventions(file)
    found = evaluate_policies(log, control, seed)
    if json_:
        print(json.dumps(_plain({name: asdict(value) for name, value in found.items()}), indent=2))
    else:
        _show_values(found, control, len(log))


@app.command("simulate")
def simulate(
    *,
    days: Annotated[int, typer.Option(min=30, help="Length.")] = 120,
    users: Annotated[int, typer.Option(min=50, help="Registered users at the start.")] = 1_000,
    seed: Annotated[int, typer.Option(min=0, help="Equal seeds give equal runs.")] = 1,
    horizon: Annotated[str, typer.Option(metavar="DURATION", help="Silence that counts as churn.")] = "14d",
    budget: Annotated[float, typer.Option(min=1, help="Alerts a day at most.")] = 20,
    holdout: Annotated[float, typer.Option(min=0.01, max=0.9, help="Share that is never treated.")] = 0.2,
    json_: Json = False,
    config: Config = None,
) -> None:
    """Run win-back in a simulated shop, where every true effect is known, and compare.

    Its users respond to coupon, push and service_call, each kind of user to another; decisions change what
    they do next. Nothing is sent. For example:

      keepstream interventions simulate --users 500 --days 90
    """
    from online_models.pipeline import Pipeline
    from streams.settings import load
    from streams.sources.simulator import ShopConfig
    from streams.sources.simulator.closed_loop import ClosedLoop, as_document
    from streams.store_settings import pipeline_settings

    settings = load(
        config,
        horizon=horizon,
        alert_budget=budget,
        alert_cap=16,
        winback_holdout=holdout,
        winback_actions=("coupon:2", "push", "service_call:4"),
        daily_look=False,
    )
    shop = ShopConfig(seed=seed, users=users, items=300, days=days, visitors_per_day=0)
    loop = ClosedLoop(shop, Pipeline(pipeline_settings(settings)))
    for day, made in enumerate(loop.days(), start=1):
        if day % 10 == 0:
            typer.echo(f"day {day} of {days}, {made:,} decisions", err=True)
    found = loop.report()
    if json_:
        print(json.dumps(_plain(as_document(found)), indent=2))
    else:
        _show_loop(found)


def read_uplift(settings: "Settings") -> "dict[str, Uplift]":
    """Return what every action came to, from all outcomes that the topic holds now."""
    from online_models.winback.uplift import UpliftBook
    from streams import topics
    from streams.follow import Follower
    from streams.schemas import Intervention

    book, decoder = UpliftBook(), msgspec.json.Decoder(Intervention)
    with Follower(settings, [topics.INTERVENTIONS.full_name(settings)], "beginning") as follower:
        done = False
        while not done:
            done = follower.caught_up
            for record in follower.poll(_POLL_S):
                document = decoder.decode(record.value) if record.value else None
                if document is not None and document.outcome is not None:
                    book.add(
                        document.action,
                        document.propensity,
                        holdout=document.holdout,
                        returned=document.outcome.returned,
                        spend=document.outcome.spend,
                        cost=document.cost,
                    )
    return book.report()


def _show_uplift(found: "Mapping[str, Uplift]") -> None:
    print(f"{'':14} {'known':>7} {'return rate':>12} {'uplift over holdout':>26} {'spend':>9} {'cost':>7}")
    for name, one in found.items():
        uplift = (
            "" if one.uplift != one.uplift else f"{one.uplift:+.1%} [{one.low:+.1%}, {one.high:+.1%}]"
        )  # NaN
        spend = "" if math.isnan(one.spend_uplift) else f"{one.spend_uplift:+.2f}"
        print(f"{name:14} {one.cases:7,} {one.rate:12.1%} {uplift:>26} {spend:>9} {one.cost:7.2f}")


def _show_loop(found: "LoopReport") -> None:
    print(f"{found.decisions:,} decisions")
    _show_uplift(found.estimated)
    truth = ", ".join(f"{name} {uplift:+.1%}" for name, uplift in found.true_uplift.items())
    print(f"true uplift: {truth}")
    ahead = found.ahead
    print(
        f"reward per decision {found.reward:.4f}, of uniform choice {found.uniform:.4f}, of the best "
        f"{found.best:.4f}; ahead of uniform by {ahead.difference:+.4f} [{ahead.low:+.4f}, {ahead.high:+.4f}]"
    )
    print(
        f"extra returns per treatment at equal budget: {found.by_effect:.3f} by estimated effect, "
        f"{found.by_risk:.3f} by risk"
    )


def _show_values(found: "Mapping[str, PolicyValue]", control: str, cases: int) -> None:
    print(f"{cases:,} decisions; reward per decision, and how far ahead of {control!r} (doubly robust)")
    print(f"{'':16} {'IPS':>24} {'SNIPS':>24} {'DR':>24} {'ahead':>26}")
    for name, one in found.items():
        columns = [_estimate(part) for part in (one.ips, one.snips, one.doubly_robust)]
        print(f"{name:16} {columns[0]:>24} {columns[1]:>24} {columns[2]:>24} {_estimate(one.ahead, '+'):>26}")


def _estimate(found: "Estimate", sign: str = "") -> str:
    return f"{found.value:{sign}.4f} [{found.low:{sign}.4f}, {found.high:{sign}.4f}]"


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
