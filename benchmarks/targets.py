"""The targets that were set before anything was measured, and whether the last runs met them."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from benchmarks.scaling import BASE
from benchmarks.systems import BOUND, STREAMS
from benchmarks.throughput import OURS, believed, per_core

Figures = Mapping[str, Any]

_TIMES: Final = {
    "Faust": 10.0,
    "Quix Streams": 10.0,
    "Bytewax": 10.0,
    "confluent-kafka loop": 5.0,
    STREAMS: 1.0,
}
_HALF: Final = 0.5
_P99_MS: Final = 250.0
_LARGE: Final = (1e6, 2e5)
_LARGE_GIB: Final = 2.0
_KEPT: Final = 0.8


class Target(NamedTuple):
    """One target: what was asked for, what was measured, whether that is enough."""

    asked: str
    measured: str
    met: bool


def targets(parts: Figures) -> Iterator[Target]:
    """Yield every target whose figures are there."""
    found = parts.get("throughput", {})
    if believed(found.get(OURS, {})):
        ours = per_core(found[OURS])
        for name, wanted in _TIMES.items():
            if believed(found.get(name, {})):
                ratio = ours / per_core(found[name])
                yield Target(
                    f"{wanted:.0f} times the throughput of {name}", f"{ratio:.2f} times", ratio >= wanted
                )
        if believed(found.get(BOUND, {})):
            share = ours / per_core(found[BOUND])
            yield Target("half of what the transport delivers", f"{100 * share:.0f} %", share >= _HALF)
    if "0.5" in (latency := parts.get("latency", {})):
        p99 = latency["0.5"]["p99"]
        yield Target(f"p99 under {_P99_MS:.0f} ms at 50 % load", f"{p99:,.0f} ms", p99 < _P99_MS)
    if memory := parts.get("memory"):
        users, items = _LARGE
        size = (users * memory["user"] + items * (memory["item"] + memory["item, broadcast"])) / 2**30
        asked = f"{users:,.0f} users and {items:,.0f} items in under {_LARGE_GIB:.0f} GiB"
        yield Target(asked, f"{size:.2f} GiB", size < _LARGE_GIB)
    if growth := parts.get("growth"):
        kept = growth[BASE]["cost"] / growth["10 times users and items"]["cost"]
        asked = f"{100 * _KEPT:.0f} % of the throughput with 10 times the users and items"
        yield Target(asked, f"{100 * kept:.0f} %", kept >= _KEPT)


def targets_table(parts: Figures) -> list[str]:
    """Return every target, and whether it was met."""
    rows = (
        f"| {one.asked} | {one.measured} | {'met' if one.met else '**missed**'} |" for one in targets(parts)
    )
    return ["| target, per core | measured | |", "|---|---|---|", *rows]
