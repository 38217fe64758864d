"""The last page of the demo."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.demo.board import Outputs
from streams.demo.report import Check, Quality
from streams.demo.view import quality_table

_WIDTH = 72


def print_summary(checks: Sequence[Check], quality: Quality, outputs: Outputs, console: Console) -> None:
    """Print whether every event is accounted for, what was learned, and what came out."""
    complete = all(check.holds for check in checks)
    console.print(Text("\nEvery event accounted for" if complete else "\nThe counts differ", style="bold"))
    body = Table.grid(padding=(0, 2))
    body.add_column(min_width=26)
    body.add_column(justify="right")
    body.add_column(justify="right")
    body.add_column()
    body.add_row("", Text("sent", style="dim"), Text("found", style="dim"), "")
    for check in checks:
        mark = Text("ok", style="green") if check.holds else Text("DIFFERENT", style="bold red")
        body.add_row(f"  {check.name}", f"{check.sent:,}", f"{check.found:,}", mark)
    console.print(body)
    console.print(Text("\nWhat was learned", style="bold"))
    console.print(quality_table(quality), width=min(console.width, _WIDTH))
    counts = f"{outputs.list_count:,} lists and {outputs.alert_count:,} alerts"
    console.print(f"\n{counts} were read from the topics.")
