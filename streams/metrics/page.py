"""The page of the documentation that lists every metric."""

from typing import Final

from streams.metrics.table import TABLE

_INTRODUCTION: Final = """\
# Metrics

<!-- Generated from streams/metrics/table.py: `python -m streams.metrics > docs/metrics.md`; do not edit. -->

Every worker serves its metrics in Prometheus' text format at `/metrics` (port `http_port`, 6066 by default),
without a token. Names are in base units; no label ever holds the id of a user or an item. Beside these there
are the standard `process_*` metrics.

Counters count what was applied by this process. Work that a fault makes a worker do again counts again here,
while state, outputs and positions change exactly once; `keepstream user ID` and `keepstream item ID` show
the exact counts.

"""


def page() -> str:
    """Return docs/metrics.md."""
    lines = ["| name | kind | unit | labels | meaning |", "|---|---|---|---|---|"]
    for metric in TABLE:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        lines.append(f"| `{metric.name}` | {metric.kind} | {metric.unit} | {labels} | {metric.meaning} |")
    return _INTRODUCTION + "\n".join(lines) + "\n"
