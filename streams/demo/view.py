"""The demo's screen: what the worker is doing, who is leaving and why, what it recommends and how well."""

from dataclasses import dataclass
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from streams.cli.tail_lines import clock, printable
from streams.demo.board import Gauges, Outputs
from streams.demo.feeder import Feeder
from streams.demo.report import Quality, quality
from streams.demo.setting import HORIZON_DAYS
from streams.metrics import table

_DAY_MS: Final = 86_400_000
_LISTED: Final = 2
_REJECT_ROWS: Final = 5


@dataclass(frozen=True)
class Scene:
    """Everything the screen shows.

    Parameters
    ----------
    feeder, gauges, outputs
        Where it comes from.
    title, hints
        What stands in the head and under it all.
    rows
        Alerts and lists to show of each.
    """

    feeder: Feeder
    gauges: Gauges
    outputs: Outputs
    title: str
    hints: list[str]
    rows: int = 5

    def __rich__(self) -> RenderableType:
        """Return the screen."""
        return Group(
            self._head(),
            self._alerts(),
            self._lists(),
            self._bottom(),
            *(Text(hint, style="dim") for hint in self.hints),
        )

    def _head(self) -> Panel:
        feeder, gauges = self.feeder, self.gauges
        day = (feeder.now_ms - feeder.first_ms) // _DAY_MS + 1 if feeder.first_ms else 0
        grid = Table.grid(expand=True, padding=(0, 1))
        for _ in range(4):
            grid.add_column(ratio=1, no_wrap=True)
        grid.add_row(
            _fact("shop's day", f"{day}, {clock(feeder.now_ms)[11:16]}" if day else "-"),
            _fact("events sent", f"{feeder.sent:,}"),
            _fact("applied", f"{gauges.rate:,.0f} a second"),
            _fact("waiting", f"{max(0, feeder.sent - gauges.judged):,}"),
        )
        grid.add_row(
            _fact("users scored", f"{gauges.count(table.SCORES):,}"),
            _fact("lists made", f"{self.outputs.list_count:,}"),
            _fact("alerts", f"{self.outputs.alert_count:,}"),
            _fact("transactions", f"{gauges.count(table.CHECKPOINTS):,}"),
        )
        return Panel(grid, title=f"[bold]{self.title}[/bold]", title_align="left", border_style="cyan")

    def _alerts(self) -> Panel:
        body = Table.grid(expand=True, padding=(0, 1))
        body.add_column(style="cyan", no_wrap=True)
        body.add_column(justify="right", style="bold red", no_wrap=True)
        body.add_column(style="bold green", no_wrap=True)
        body.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        alerts = list(self.outputs.alerts)[-self.rows :][::-1]
        for alert in alerts:
            body.add_row(
                printable(alert.user_id),
                f"{alert.probability:.0%}",
                printable(alert.action).replace("_", " "),
                Text(printable("; ".join(alert.reasons)), style="default"),
            )
        content: RenderableType = body
        if not alerts:
            labels = self.gauges.value(table.MODEL_QUALITY, "churn", "labels") or 0
            why = (
                f"{labels:,.0f} labels learned"
                if labels
                else f"labels mature {HORIZON_DAYS} days after a check"
            )
            content = Text(f"none yet: {why}", style="dim")
        return _panel(content, "Churn alerts", "who leaves, how sure, what to do, and why", self.rows)

    def _lists(self) -> Panel:
        body = Table.grid(expand=True, padding=(0, 1))
        body.add_column(style="cyan", no_wrap=True)
        body.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        lists = list(self.outputs.lists)[-self.rows :][::-1]
        for found in lists:
            line = Text()
            for item in found.items[:_LISTED]:
                line.append(f"{printable(item.item_id)} ", style="bold")
                line.append(f"{printable(item.reason)}   ")
            line.append(f"and {max(0, len(found.items) - _LISTED)} more", style="dim")
            body.add_row(printable(found.user_id or found.subject.removeprefix("a:")), line)
        content: RenderableType = body if lists else Text("none yet", style="dim")
        return _panel(content, "Recommendations", "a fresh list after every touch of an item", self.rows)

    def _bottom(self) -> Table:
        grid = Table.grid(expand=True)
        grid.add_column(ratio=3)
        grid.add_column(ratio=2)
        grid.add_row(
            Panel(
                quality_table(quality(self.gauges, self.outputs)),
                title="[bold]Quality[/bold] [dim]predicted before it is learned[/dim]",
                title_align="left",
                border_style="blue",
            ),
            Panel(
                self._rejects(),
                title="[bold]Broken events[/bold] [dim]set aside[/dim]",
                title_align="left",
                border_style="blue",
            ),
        )
        return grid

    def _rejects(self) -> Table:
        body = Table.grid(expand=True, padding=(0, 1))
        for _ in range(2):
            body.add_column(ratio=1, no_wrap=True)
            body.add_column(justify="right")
        found = sorted(self.gauges.rejected.items(), key=lambda pair: -pair[1])
        found.insert(0, ("duplicates", self.gauges.count(table.EVENTS_DUPLICATE)))
        for at in range(0, 2 * _REJECT_ROWS, 2):
            pairs = [(name.replace("_", " "), f"{count:,}") for name, count in found[at : at + 2]]
            body.add_row(*(text for pair in pairs for text in pair))
        return body


def quality_table(now: Quality) -> Table:
    """Return the quality of the models beside their baselines."""
    body = Table.grid(expand=True, padding=(0, 1))
    body.add_column(ratio=3, no_wrap=True)
    body.add_column(justify="right", style="bold")
    body.add_column(justify="right", style="dim", ratio=3, no_wrap=True)
    rows = (
        ("churn, AUC", now.auc, "recency alone", now.auc_recency, True),
        ("churn, log loss", now.log_loss, "base rate", now.log_loss_base_rate, False),
        ("list holds the next item", now.hit_rate, "popular items", now.hit_rate_popularity, True),
    )
    for name, ours, baseline, theirs, more_is_better in rows:
        better = ours is not None and theirs is not None and (ours > theirs) == more_is_better
        body.add_row(
            name, Text(number(ours), style="bold green" if better else "bold"), f"{baseline} {number(theirs)}"
        )
    body.add_row("labels learned", f"{now.labels:,}", f"of them left {number(now.base_rate)}")
    body.add_row("drifts", f"{now.drifts:,}", "")
    return body


def number(value: float | None) -> str:
    """Return a share for people.

    >>> number(0.71234), number(None)
    ('.712', '-')
    """
    if value is None:
        return "-"
    return f"{value:.3f}".removeprefix("0")


def _fact(name: str, value: str) -> Text:
    return Text.assemble((f"{name} ", "dim"), (value, "bold"))


def _panel(content: RenderableType, title: str, subtitle: str, rows: int) -> Panel:
    return Panel(
        content,
        title=f"[bold]{title}[/bold] [dim]{subtitle}[/dim]",
        title_align="left",
        border_style="blue",
        height=rows + 2,
    )
