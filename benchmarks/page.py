"""Writes the tables and plots of docs/performance.md from the figures of the last runs.

Prose stays in the page; a part between ``<!-- generated: NAME -->`` and ``<!-- end -->`` is replaced.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks import plot, results
from benchmarks.model import model_table
from benchmarks.systems import PEER_SYSTEMS
from benchmarks.targets import targets_table
from benchmarks.throughput import OURS, REPLAY, believed, per_core

ROOT: Final = Path(__file__).parent.parent
PARTS: Final = {
    "throughput": ("throughput",),
    "real": ("throughput", "--log", ".cache/peers/journey.jsonl.gz", "--only", "loop", "Bytewax"),
    "latency": ("latency",),
    "memory": ("memory",),
    "recovery": ("restore",),
    "growth": ("scaling", "growth"),
    "workers": ("scaling", "workers"),
}
"""Module and arguments of each part of a full run, in its order; each has a file of figures."""

_BLOCK: Final = re.compile(r"(<!-- generated: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
_MIB: Final = 2**20
_RESIDENT: Final = {
    "user": "100,000 users",
    "item": "100,000 items, in their partitions",
    "item, broadcast": "100,000 items, as every worker knows them",
    "full item": "100,000 items with a partner in every slot, in their partitions",
    "full item, broadcast": "the same, as every worker knows them",
}

Figures = Mapping[str, Any]


def runs_table(parts: Figures) -> list[str]:
    """Return when and under what load each part was run, and on what machine."""
    lines = ["| part | command | day | took | load average, before and after |", "|---|---|---|---|---|"]
    machines = set()
    for part in PARTS:
        if part in parts:
            run = parts[part]["run"]
            before, after = run["load"]
            machines.add(run["machine"])
            lines.append(
                f"| {part} | `{run['command']}` | {run['day']} | {run['seconds']:.0f} s "
                f"| {before:.1f}, {after:.1f} |"
            )
    return [*(f"Machine: {machine}.\n" for machine in sorted(machines)), *lines]


def throughput_table(found: Figures) -> list[str]:
    """Return all systems beside Keepstream."""
    lines = [
        "| system | events/s a core | CPU µs an event | Keepstream is faster by | bytes an event | events |",
        "|---|---|---|---|---|---|",
    ]
    ours = per_core(found[OURS])
    for name in (OURS, REPLAY, *(peer.name for peer in PEER_SYSTEMS)):
        one = found.get(name)
        if not one:
            continue
        if not believed(one):
            reason = one.get("skipped") or f"counts differ from the log in {one['deviations']} places"
            lines.append(f"| {name} | not measured: {reason} | | | | |")
            continue
        rate = per_core(one)
        marks = "".join(
            mark
            for mark, holds in (("¹", one.get("part")), ("²", one.get("slow")), ("³", not one["whole"]))
            if holds
        )
        lines.append(
            f"| {name}{marks} | {rate:,.0f} | {1e6 / rate:,.0f} | {ours / rate:.2f} times "
            f"| {one['bytes_per_event']:,.0f} | {one['events']:,} |"
        )
    return [*lines, "", _lists_told(found[OURS])]


def _lists_told(ours: Figures) -> str:
    """Return what the lists cost, and what they would if every touch had its own, as peers give it one."""
    spent = sum(cost for name, cost in ours["stages"].items() if name.startswith("lists:"))
    each = spent * ours["events"] / max(1.0, ours["lists"])
    all_of_them = 1e6 / per_core(ours) - spent + each * ours["asking"] / ours["events"]
    return (
        f"Keepstream published {ours['lists']:,.0f} lists, {each:.0f} µs each, for {ours['asking']:,} "
        f"touches that ask for one, and {ours['scores']:,.0f} churn scores. With a list for every touch, at "
        f"that price, an event would cost {all_of_them:,.0f} µs."
    )


def stages_table(found: Figures) -> list[str]:
    """Return CPU by stage, with the ranker's sample as in a live shop and as in a replay."""
    live, replay = found[OURS]["stages"], found[REPLAY]["stages"]
    whole = sum(live.values())
    rows = [
        f"| {name} | {live[name]:.1f} | {100 * live[name] / whole:.0f} % | {replay.get(name, 0.0):.1f} |"
        for name in sorted(live, key=lambda one: -live[one])
    ]
    return [
        "| stage | µs an event | share | replay, µs an event |",
        "|---|---|---|---|",
        *rows,
        f"| all | {whole:.1f} | 100 % | {sum(replay.values()):.1f} |",
    ]


def bytes_table(found: Figures) -> list[str]:
    """Return what lies on the broker for an event of the whole log, by topic."""
    sizes = found[OURS]["bytes_by_topic"]
    written = (name for name in sorted(sizes, key=lambda one: -sizes[one]) if sizes[name] >= 1)
    return ["| topic | bytes an event |", "|---|---|", *(f"| `{n}` | {sizes[n]:,.0f} |" for n in written)]


def latency_table(found: Figures) -> list[str]:
    """Return the percentiles by load."""
    lines = [
        "| load | events/s | p50 ms | p95 ms | p99 ms | events in a batch | CPU µs an event | events |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for share in _shares(found):
        one = found[share]
        lines.append(
            f"| {100 * float(share):.0f} % | {one['rate']:,.0f} | {one['p50']:,.0f} | {one['p95']:,.0f} "
            f"| {one['p99']:,.0f} | {one['batch']:,.0f} | {one['cost']:,.0f} | {one['events']:,} |"
        )
    return lines


def memory_table(found: Figures) -> list[str]:
    """Return resident memory of users and items."""
    return [
        "| what | resident |",
        "|---|---|",
        *(f"| {what} | {found[name] * 1e5 / _MIB:,.0f} MiB |" for name, what in _RESIDENT.items()),
    ]


def recovery_table(found: Figures) -> list[str]:
    """Return how long a restore takes."""
    return [
        "| users | rows on the broker | restored in | CPU |",
        "|---|---|---|---|",
        (
            f"| {found['users']:,} | {found['bytes'] / _MIB:,.0f} MiB | {found['seconds']:.1f} s "
            f"| {found['cpu']:.1f} s |"
        ),
    ]


def scaling_table(found: Figures) -> list[str]:
    """Return cost and pace as one thing grows, against the first."""
    lines = [
        "| shop | CPU µs an event | throughput a core | broker, µs | events/s by the clock | MiB |",
        "|---|---|---|---|---|---|",
    ]
    cases = _cases(found)
    first = next(iter(cases.values()))["cost"]
    for name, one in cases.items():
        lines.append(
            f"| {name} | {one['cost']:.0f} | {100 * first / one['cost']:.0f} % | {one['broker']:.0f} "
            f"| {one['rate']:,.0f} | {one['resident'] / _MIB:,.0f} |"
        )
    return lines


def scaling_stages_table(found: Figures) -> list[str]:
    """Return the stages that take a microsecond or more an event in any shop, one column a shop."""
    stages = {name: one["stages"] for name, one in _cases(found).items()}
    most = {
        stage: max(one.get(stage, 0.0) for one in stages.values()) for one in stages.values() for stage in one
    }
    shown = sorted((stage for stage in most if most[stage] >= 1), key=lambda stage: -most[stage])
    return [
        f"| stage, µs an event | {' | '.join(stages)} |",
        "|---" * (len(stages) + 1) + "|",
        *(f"| {n} | {' | '.join(f'{one.get(n, 0.0):.1f}' for one in stages.values())} |" for n in shown),
    ]


_SECTIONS: Final[Mapping[str, tuple[Callable[..., list[str]], tuple[str, ...]]]] = {
    "throughput": (throughput_table, ("throughput",)),
    "real": (throughput_table, ("real",)),
    "stages": (stages_table, ("throughput",)),
    "bytes": (bytes_table, ("throughput",)),
    "latency": (latency_table, ("latency",)),
    "memory": (memory_table, ("memory",)),
    "recovery": (recovery_table, ("recovery",)),
    "growth": (scaling_table, ("growth",)),
    "growth_stages": (scaling_stages_table, ("growth",)),
    "workers": (scaling_table, ("workers",)),
    "model": (lambda found, memory: model_table(found[OURS], memory), ("throughput", "memory")),
}


def section(name: str, parts: Figures) -> list[str]:
    """Return the lines of a section; what is missing is said, with the command that measures it."""
    if name == "runs":
        return runs_table(parts)
    if name == "targets":
        return targets_table(parts)
    table, needed = _SECTIONS[name]
    missing = [part for part in needed if part not in parts]
    if missing:
        return [f'Not measured yet: `make bench ARGS="{" ".join(missing)}"`.']
    return table(*(parts[part] for part in needed))


def plots(parts: Figures) -> dict[str, str]:
    """Return the plots of what was measured, by file name."""
    found: dict[str, tuple[str, list[plot.Bar]]] = {}
    if throughput := parts.get("throughput"):
        systems = {n: one for n, one in throughput.items() if n != "run" and believed(one)}
        stages = throughput[OURS]["stages"]
        found["systems"] = (
            "CPU an event, µs (less is better)",
            [plot.Bar(n, 1e6 / per_core(one), n.startswith(OURS)) for n, one in systems.items()],
        )
        found["stages"] = (
            "CPU an event by stage, µs",
            [plot.Bar(n, stages[n]) for n in sorted(stages, key=lambda one: -stages[one]) if stages[n] > 0.3],
        )
    if latency := parts.get("latency"):
        found["latency"] = (
            "From event to readable list, ms",
            [
                plot.Bar(f"{name} at {100 * float(share):.0f} % of capacity", latency[share][name])
                for share in _shares(latency)
                for name in ("p50", "p95", "p99")
            ],
        )
    if workers := parts.get("workers"):
        found["workers"] = (
            "Events/s by the clock, broker on the same machine",
            [plot.Bar(name, one["rate"]) for name, one in _cases(workers).items()],
        )
    return {f"performance-{name}.svg": plot.bars(title, rows) for name, (title, rows) in found.items()}


def files(root: Path, figures: Path = results.FIGURES) -> dict[Path, str]:
    """Return the page and its plots, and what they must hold.

    Parameters
    ----------
    root
        Directory of the repository; its docs/performance.md gives the prose.
    figures
        Directory of the figures.
    """
    parts = {part: one for part in PARTS if (one := results.saved(part, figures))}
    page = root / "docs" / "performance.md"
    images = {root / "docs" / "images" / name: image for name, image in plots(parts).items()}
    return {page: render(page.read_text(), parts), **images}


def render(page: str, parts: Figures) -> str:
    """Return the page with its generated sections replaced."""

    def replaced(block: re.Match[str]) -> str:
        return block[1] + "\n".join(section(block[2], parts)) + "\n" + block[3]

    return _BLOCK.sub(replaced, page)


def _shares(latency: Figures) -> Iterable[str]:
    return (key for key in latency if key.startswith("0."))


def _cases(scaling: Figures) -> dict[str, Figures]:
    return {name: one for name, one in scaling.items() if name != "run"}


def main() -> None:
    """Write the page and its plots."""
    for path, text in files(ROOT).items():
        path.write_text(text)
        print(f"{path.relative_to(ROOT)} written")


if __name__ == "__main__":
    main()
