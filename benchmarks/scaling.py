"""What grows: cost with users, items and partitions, pace with workers: ``benchmarks.scaling WHAT``."""

import argparse
from dataclasses import replace
from typing import Any, Final

from benchmarks import brokers, results
from benchmarks.throughput import measure_keepstream, per_core
from benchmarks.workload import Workload

BASE: Final = "base"
_SHOP: Final = Workload(events=30_000, users=2_000, items=2_000, history=12_000)
_TEN: Final = 10


def grown() -> Workload:
    """Return a shop with ten times as many users and items, and as many churn checks an event."""
    return replace(
        _SHOP,
        users=_SHOP.users * _TEN,
        items=_SHOP.items * _TEN,
        history=_SHOP.history * _TEN,
        last_days=_SHOP.last_days / _TEN,
    )


CASES: Final[dict[str, dict[str, tuple[Workload, dict[str, Any]]]]] = {
    "growth": {
        BASE: (_SHOP, {}),
        "10 times users and items": (grown(), {}),
        "10 times partitions": (_SHOP, {"partitions": 40}),
    },
    "workers": {
        f"{count} worker{'s'[: count > 1]}": (_SHOP, {"partitions": 8, "workers": count})
        for count in (1, 2, 4)
    },
}


def cost(bootstrap: str, what: str, divisor: int) -> dict[str, dict[str, Any]]:
    """Return CPU microseconds an event, pace and memory of a small shop as one thing of it is larger."""
    found: dict[str, dict[str, Any]] = {}
    for name, (shop, options) in CASES[what].items():
        smaller = shop.part(divisor)
        one = measure_keepstream(bootstrap, smaller.records(), smaller.history, results.scratch(), **options)
        if one["deviations"]:
            raise SystemExit(f"{name}: {one['deviations']} users and items are counted otherwise")
        found[name] = {
            "cost": 1e6 / per_core(one),
            "broker": one["broker"],
            "rate": one["events"] / one["seconds"],
            "resident": one["resident"],
            "stages": one["stages"],
        }
        line = "{name:<28} {cost:8.0f} µs an event, broker {broker:.0f} µs, {rate:,.0f} events/s by the clock"
        print(line.format(name=name, **found[name]), flush=True)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=CASES)
    brokers.add_options(parser)
    options = parser.parse_args()
    with results.collected(options.what, options) as found, brokers.started(options) as bootstrap:
        found.update(cost(bootstrap, options.what, options.divisor))


if __name__ == "__main__":
    main()
