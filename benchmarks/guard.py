"""Fails when a stage needs more instructions an event than were recorded: ``python -m benchmarks.guard``.

Instructions, not time: no other work on the machine, no clock and no cache changes them. They are given in
units of a fixed piece of work in the same process, so that another build of Python or numpy changes both.
``--record`` writes what was counted as the new baseline, which is checked in; who raises it says why.
"""

import argparse
import functools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks import instructions, staged
from benchmarks.one_process import OneProcess
from benchmarks.workload import Workload, event_ms
from streams.engine.handler import Record
from streams.settings import load

BASELINE: Final = Path(__file__).parent / "baseline.json"
ALLOWED: Final = 1.2
"""Growth of a stage that is let through."""
SMALL: Final = 0.01
"""Stages below this share of all instructions are not judged alone: an import or a resize would decide."""

_SHOP: Final = Workload(events=1_500, users=150, items=150, history=900, days=40.0)
_BATCH: Final = 500
_UNIT: Final = "unit"
_REST: Final = "the rest"
_LIMIT_S: Final = 600
_STEADY: Final = {
    "PYTHONHASHSEED": "0",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "OPENBLAS_CORETYPE": "Haswell",
}


def inside() -> None:
    """Run the agents over the log, each stage on its own account; under callgrind."""
    callgrind = instructions.Callgrind()
    for owner, method, stage in staged.STAGES:
        _account(callgrind, owner, method, stage)
    shop = OneProcess(load(environ={}, ranker_examples_per_second=0.001))
    log = [
        Record(offset, event_ms(value) + 1, key, value) for offset, (key, value) in enumerate(_SHOP.records())
    ]
    for start in range(0, _SHOP.history, _BATCH):
        shop.apply(log[start : min(start + _BATCH, _SHOP.history)])
        shop.checkpoint()
    _unit()
    callgrind.start()
    callgrind.enter(_UNIT)
    _unit()
    callgrind.leave()
    callgrind.enter(_REST)
    for start in range(_SHOP.history, len(log), _BATCH):
        shop.apply(log[start : start + _BATCH])
        shop.checkpoint()
    callgrind.leave()
    callgrind.stop()


def _account(callgrind: instructions.Callgrind, owner: Any, method: str, stage: str) -> None:
    original: Callable[..., Any] = getattr(owner, method)

    @functools.wraps(original)
    def counted(*args: Any, **kwargs: Any) -> Any:
        callgrind.enter(stage)
        try:
            return original(*args, **kwargs)
        finally:
            callgrind.leave()

    setattr(owner, method, counted)


def _unit() -> None:
    """Do a fixed piece of what stages are made of: objects, dictionaries, JSON, columns."""
    rows = [{"id": f"e{n}", "value": n * 0.5} for n in range(2_000)]
    totals: dict[str, float] = {}
    for row in json.loads(json.dumps(rows)):
        totals[row["id"]] = totals.get(row["id"], 0.0) + row["value"]
    column = np.random.default_rng(1).random(20_000)
    np.unique(np.sort(column)[::2] @ np.ones((10_000, 1)))


def count() -> dict[str, float]:
    """Return the cost of an event by stage, in thousandths of the unit."""
    with tempfile.TemporaryDirectory(prefix="keepstream-guard-") as directory:
        command = [
            *("valgrind", "--tool=callgrind", "--instr-atstart=no", "--quiet"),
            f"--callgrind-out-file={directory}/callgrind.out",
            *(sys.executable, "-m", "benchmarks.guard", "--inside"),
        ]
        subprocess.run(command, check=True, env=os.environ | _STEADY, timeout=_LIMIT_S)
        found = instructions.counted(Path(directory))
    unit = found.pop(_UNIT)
    return {stage: 1000 * number / unit / _SHOP.events for stage, number in sorted(found.items())}


def grown(now: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """Return a line for every stage that costs more than it may; a new one may cost nothing yet.

    Stages that weigh little are judged together, with all others, as the whole.

    Examples
    --------
    >>> grown({"decode": 1.3, "lists": 5.0}, {"decode": 1.0, "lists": 5.0})
    ['decode: 1.300 instead of 1.000, +30 %']
    >>> grown({"decode": 1.0, "lists": 4.0}, {"decode": 1.0, "lists": 5.0})
    []
    """
    whole = sum(before.values())
    judged = {stage for stage, cost in now.items() if max(cost, before.get(stage, 0.0)) > SMALL * whole}
    pairs = [(stage, now[stage], before.get(stage, 0.0)) for stage in sorted(judged)]
    pairs.append(("all stages", sum(now.values()), whole))
    return [
        f"{stage}: {cost:.3f} instead of {then:.3f}, {cost / then - 1:+.0%}".replace("%", " %")
        if then
        else f"{stage}: {cost:.3f}, and no baseline"
        for stage, cost, then in pairs
        if cost > ALLOWED * then
    ]


def main() -> None:
    """Count, compare, and fail where a stage has grown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", action="store_true", help="write the baseline instead of comparing")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        inside()
        return
    reason = instructions.missing()
    if reason:
        print(f"instructions were NOT counted: {reason}")
        return
    now = count()
    if options.record:
        BASELINE.write_text(json.dumps(now, indent=2) + "\n")
        print(f"{BASELINE} written")
        return
    before: dict[str, float] = json.loads(BASELINE.read_text())
    for stage, cost in sorted(now.items(), key=lambda one: -one[1]):
        print(f"{stage:<44} {cost:8.3f}  recorded {before.get(stage, 0.0):8.3f}")
    too_much = grown(now, before)
    if too_much:
        raise SystemExit(
            "\n".join(
                [
                    "more instructions an event than recorded:",
                    *too_much,
                    "If this is meant: python -m benchmarks.guard --record, and say why in the commit",
                ]
            )
        )
    print("no stage needs more than recorded")


if __name__ == "__main__":
    main()
