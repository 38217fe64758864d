"""What `keepstream evaluate` prints: tables for people, one document for machines."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from online_models.evaluation.bootstrap import Interval
from online_models.evaluation.churn import MODEL, ChurnReport
from online_models.evaluation.reaction import Reaction
from online_models.evaluation.recommendations import RecommendationReport

Quality = Mapping[str, Mapping[str, float]]

_WIDTH: Final = 110
_LIST_COLUMNS: Final = {
    "hit_rate": "HR@{k}",
    "mrr": "MRR@{k}",
    "new_hit_rate": "new HR@{k}",
    "new_mrr": "new MRR@{k}",
}
_MAKE_UP: Final = {"coverage": "coverage", "novelty": "novelty", "diversity": "diversity", "gini": "Gini"}
_RECALL_COLUMNS: Final = {"recall": "recall", "alone": "alone", "offered": "offered"}
_CHURN_COLUMNS: Final = {
    "auc": "AUC",
    "log_loss": "log loss",
    "brier": "Brier",
    "calibration_error": "ECE",
    "top_decile_lift": "lift 10 %",
    "precision_at_budget": "precision",
}


def document(report: RecommendationReport | ChurnReport, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return every figure and setting as one document; what is undefined is null."""
    found: dict[str, Any] = _plain({"settings": dict(settings), **asdict(report)})
    return found


def show_recommendations(report: RecommendationReport, settings: Mapping[str, Any], k: int) -> None:
    """Print hit rates, what the lists are made of, and the model's lead."""
    console = _console()
    counts = report.counts
    console.print(
        f"{counts['cases']:,} cases in {counts['sessions']:,} sessions ({counts['tested_events']:,} events), "
        f"after {counts['learned_events']:,} events only learned from; {counts['items']:,} items; "
        f"{_share(report.never_seen)} of the targets had never been seen; "
        f"{_share(counts['new_cases'] / max(counts['cases'], 1))} are no repeats"
    )
    console.print(
        f"tested {settings['tested']}, {'frozen' if settings['freeze'] else 'learning'}", style="dim"
    )
    columns = {name: title.format(k=k) for name, title in _LIST_COLUMNS.items()}
    console.print(_table("Was the next touch in the list?", _at(report.quality, k), columns))
    console.print(_table("What are the lists made of?", report.quality, _MAKE_UP, digits=2))
    console.print(_leads(report.intervals, {"hit_rate": f"HR@{k}", "mrr": f"MRR@{k}"}, suffix=f"@{k}"))
    console.print(_table("Was it a candidate, and from where?", report.recall, _RECALL_COLUMNS))
    console.print(_cold(report.cold, k))
    console.print(
        "new: cases whose target was not touched before in the session. coverage: share of all items that "
        "were listed. novelty: mean bits of surprise. diversity: share of pairs in a list of different "
        "categories. Gini: 0 if all items are listed alike, near 1 if a few take all places. alone: share of "
        "cases that no other source could serve. offered: candidates of a case.",
        style="dim",
    )


def show_churn(report: ChurnReport, settings: Mapping[str, Any]) -> None:
    """Print the quality of the scores and the model's lead."""
    console = _console()
    counts = report.counts
    console.print(
        f"{counts['judged']:,} labels of {counts['users_judged']:,} users judged, of {counts['labels']:,} "
        f"matured ones ({counts['users']:,} users, {counts['activities']:,} activities); "
        f"base rate {_share(report.base_rate)}; highest possible lift {_figure(report.lift_ceiling, 2)}"
    )
    console.print(f"landmarks from {settings['test_from']} on, horizon {settings['horizon']}", style="dim")
    console.print(_table("Who stays silent for the horizon?", report.quality, _CHURN_COLUMNS))
    console.print(
        _table(f"Of these, {report.cold_labels:,} had never come back", report.cold, _CHURN_COLUMNS)
    )
    console.print(
        _leads(
            report.intervals,
            {"auc": "AUC", "log_loss": "log loss", "brier": "Brier"},
            better="positive where the loss is smaller",
        )
    )
    _show_delay(console, report, settings)
    if report.reaction is not None:
        _show_reaction(console, report.reaction)
    lead = report.alert_lead
    console.print(
        f"{lead.alerts:,} alerts judged: {_share(lead.precision)} stayed silent for the horizon, which was "
        f"certain {_figure(lead.median_days, 1)} days later (median; nine tenths: "
        f"{_figure(lead.tenth_days, 1)} or more)"
    )
    console.print(
        "ECE: expected calibration error, 10 bins. lift 10 %: share of churns in the tenth with the highest "
        f"scores, over the base rate. precision: that share in each week's {settings['budget']:,} highest.",
        style="dim",
    )


def _show_delay(console: Console, report: ChurnReport, settings: Mapping[str, Any]) -> None:
    early, late = (report.quality.get(name, {}).get("auc", math.nan) for name in ("rolled", MODEL))
    if math.isfinite(early):
        console.print(
            f"The rolled hazard, whose labels are known after {settings['hazard_step']}: AUC {early:.4f}, "
            f"{early - late:+.4f} beside the scores, which also wait for {settings['horizon']}"
        )


def _show_reaction(console: Console, found: Reaction) -> None:
    """Print the excess loss by periods of four weeks, the one before the change first."""
    titles = ["before", *(f"weeks {4 * n + 1}-{4 * n + 4}" for n in range(len(found.labels) - 1))]
    excess = {
        name: {str(n): value for n, value in enumerate(losses)} for name, losses in found.excess.items()
    }
    columns = {str(n): title for n, title in enumerate(titles)}
    console.print(
        _table("Log loss beyond hindsight's, before and after the change", excess, columns, digits=4)
    )


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH)


def _at(quality: Quality, k: int) -> Quality:
    suffix = f"@{k}"
    return {
        name: {key.removesuffix(suffix): value for key, value in row.items() if key.endswith(suffix)}
        for name, row in quality.items()
    }


def _table(title: str, quality: Quality, columns: Mapping[str, str], digits: int = 3) -> Table:
    table = _empty(title, ["", *columns.values()])
    for place, (name, row) in enumerate(quality.items()):
        cells = [_figure(row.get(column, math.nan), digits) for column in columns]
        table.add_row(name, *cells, style="bold" if place == 0 else "")
    return table


def _cold(cold: Mapping[str, Quality], k: int) -> Table:
    headers = ["", "cases", f"HR@{k}", f"MRR@{k}", "best baseline", f"its HR@{k}"]
    table = _empty("And where little is known?", headers)
    for group, rows in cold.items():
        (_, ours), *others = rows.items()
        best, theirs = max(others, key=lambda row: row[1]["hit_rate"])
        figures = _figure(ours["hit_rate"], 3), _figure(ours["mrr"], 3)
        table.add_row(group, f"{ours['cases']:,.0f}", *figures, best, _figure(theirs["hit_rate"], 3))
    return table


def _leads(
    intervals: Mapping[str, Mapping[str, Interval]],
    columns: Mapping[str, str],
    *,
    suffix: str = "",
    better: str = "",
) -> Table:
    note = f"; {better}" if better else ""
    level = next((found.level for row in intervals.values() for found in row.values()), 0.95)
    table = _empty(
        f"How far is it ahead? (difference and {level:.0%} interval{note})", ["over", *columns.values()]
    )
    for name, row in intervals.items():
        table.add_row(name, *(_interval(row[f"{column}{suffix}"]) for column in columns))
    return table


def _empty(title: str, headers: Sequence[str]) -> Table:
    table = Table(
        title=Text(title, style="italic"), title_justify="left", header_style="", box=None, pad_edge=False
    )
    table.add_column(headers[0], no_wrap=True)
    for header in headers[1:]:
        table.add_column(header, justify="right", no_wrap=True)
    return table


def _interval(found: Interval) -> Text:
    text = f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    if math.isnan(found.difference):
        return Text("-")
    sure = found.low > 0 or found.high < 0
    return Text(text if sure else f"{text} ?")


def _figure(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"


def _share(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.1%}"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
