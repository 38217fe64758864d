"""Writes the tables and plots of docs/performance.md from the figures that were saved last."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks import plot, results
from benchmarks.model import model_table
from benchmarks.throughput import PEER_SYSTEMS, REPLAY, per_core

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = ROOT / "docs" / "performance.md"
IMAGES: Final = ROOT / "docs" / "images"
_OURS: Final = "Keepstream"
_GIB: Final = 2**30
_BOUND: Final = "decode only, our transport"
_STREAMS: Final = "Kafka Streams (Java)"

Figures = Mapping[str, Any]


def machine(figures: Figures) -> str:
    """Return one line on the machine of a run."""
    one = figures["machine"]
    return (
        f"{one['cpu']}, {one['cores']} cores, {one['system']}, Python {one['python']}; the load average was "
        f"{one['load']:.1f} when it began."
    )


def throughput_table(figures: Figures) -> str:
    """Return all systems beside Keepstream."""
    lines = [
        "| system | events/s a core | CPU µs an event | Keepstream is faster by | bytes an event | events |",
        "|---|---|---|---|---|---|",
    ]
    ours = per_core(figures[_OURS])
    for name in (_OURS, REPLAY, *(peer.name for peer in PEER_SYSTEMS)):
        found = figures.get(name)
        if not found:
            continue
        if "skipped" in found:
            lines.append(f"| {name} | not measured: {found['skipped']} | | | | |")
            continue
        if found.get("deviations"):
            lines.append(f"| {name} | counts differ from the log in {found['deviations']} places | | | | |")
            continue
        rate = per_core(found)
        marks = ("¹" if found.get("part") else "") + ("²" if found.get("slow") else "")
        marks += "" if found["whole"] else "³"
        lines.append(
            f"| {name}{marks} | {rate:,.0f} | {1e6 / rate:,.0f} | {ours / rate:.2f} times "
            f"| {found['bytes_per_event']:,.0f} | {found['events']:,} |"
        )
    return "\n".join(lines)


def stages_table(figures: Figures) -> str:
    """Return CPU by stage, as measured at the pace of a live shop and in a replay."""
    live, replay = figures[_OURS]["stages"], figures[REPLAY]["stages"]
    lines = ["| stage | live, µs an event | share | replay, µs an event |", "|---|---|---|---|"]
    whole = sum(live.values())
    for name in sorted(live, key=lambda one: -live[one]):
        share = 100 * live[name] / whole
        lines.append(f"| {name} | {live[name]:.1f} | {share:.0f} % | {replay.get(name, 0.0):.1f} |")
    return "\n".join([*lines, f"| all | {whole:.1f} | 100 % | {sum(replay.values()):.1f} |"])


def bytes_table(figures: Figures) -> str:
    """Return what lies on the broker for an event of the whole log, by topic."""
    sizes = figures[_OURS]["bytes_by_topic"]
    lines = ["| topic | bytes an event |", "|---|---|"]
    written = (name for name in sorted(sizes, key=lambda one: -sizes[one]) if sizes[name] >= 1)
    return "\n".join([*lines, *(f"| `{name}` | {sizes[name]:,.0f} |" for name in written)])


def latency_table(figures: Figures) -> str:
    """Return the percentiles by load."""
    lines = ["| load | events/s | p50 ms | p95 ms | p99 ms | events |", "|---|---|---|---|---|---|"]
    for share in (key for key in figures if key.startswith("0.")):
        one = figures[share]
        lines.append(
            f"| {float(share):.0%} | {one['rate']:,.0f} | {one['p50']:,.0f} | {one['p95']:,.0f} "
            f"| {one['p99']:,.0f} | {one['events']:,} |".replace("%", " %")
        )
    return "\n".join(lines)


def scaling_table(figures: Figures) -> str:
    """Return cost and pace as one thing grows."""
    lines = [
        "| shop | CPU µs an event | against the first | events/s by the clock | MiB of the largest worker |",
        "|---|---|---|---|---|",
    ]
    base = figures["cost"]["base"]["cost"]
    for name, one in figures["cost"].items():
        lines.append(
            f"| {name} | {one['cost']:.0f} | {base / one['cost']:.0%} | {one['rate']:,.0f} "
            f"| {one['resident'] / 2**20:,.0f} |".replace("%", " %")
        )
    return "\n".join(lines)


def memory_table(memory: Figures, recovery: Figures) -> str:
    """Return resident memory, and how long a restore takes."""
    user, item, known = memory["user"], memory["item"], memory["item, broadcast"]
    large = 1e6 * user + 2e5 * (item + known)
    mib = 1e5 / 2**20
    return "\n".join(
        [
            "| what | resident |",
            "|---|---|",
            f"| 100,000 users | {user * mib:,.0f} MiB |",
            f"| 100,000 items, in their partitions | {item * mib:,.0f} MiB |",
            f"| 100,000 items, as every worker knows them | {known * mib:,.0f} MiB |",
            f"| 1,000,000 users and 200,000 items on one worker, by these lines | {large / _GIB:.2f} GiB |",
            (
                f"| restore of {recovery['users']:,.0f} users | {recovery['seconds']:.1f} s, "
                f"{recovery['cpu']:.1f} s of CPU |"
            ),
        ]
    )


def targets_table(found: Figures, scaling: Figures, memory: Figures, latency: Figures) -> str:
    """Return every target, and whether it was met in this run."""
    ours = per_core(found[_OURS])
    lines = ["| target | measured | |", "|---|---|---|"]

    def add(what: str, value: str, *, met: bool) -> None:
        lines.append(f"| {what} | {value} | {'met' if met else '**missed**'} |")

    for name, wanted in (
        ("Faust", 10.0),
        ("Quix Streams", 10.0),
        ("Bytewax", 10.0),
        ("confluent-kafka loop", 5.0),
        (_STREAMS, 1.0),
    ):
        one = found.get(name, {})
        if "cpu" in one and not one.get("deviations"):
            ratio = ours / per_core(one)
            add(f"{wanted:.0f} times {name}", f"{ratio:.2f} times", met=ratio >= wanted)
    if _BOUND in found and "cpu" in found[_BOUND]:
        share = ours / per_core(found[_BOUND])
        add("half of decode only", f"{share:.0%}".replace("%", " %"), met=share >= 0.5)
    if "0.5" in latency:
        p99 = latency["0.5"]["p99"]
        add("p99 under 250 ms at 50 % load", f"{p99:,.0f} ms", met=p99 < 250)
    large = (1e6 * memory["user"] + 2e5 * (memory["item"] + memory["item, broadcast"])) / _GIB
    add("1,000,000 users and 200,000 items under 2 GiB", f"{large:.2f} GiB", met=large < 2)
    cost = scaling["cost"]
    kept = cost["base"]["cost"] / cost["10 times users and items"]["cost"]
    add("80 % of the throughput at 10 times more users and items", f"{100 * kept:.0f} %", met=kept >= 0.8)
    return "\n".join(lines)


def plots(found: Figures, latency: Figures) -> dict[str, str]:
    """Return the plots by file name."""
    systems = [
        (name, 1e6 / per_core(one), name.startswith(_OURS))
        for name, one in found.items()
        if isinstance(one, dict) and "cpu" in one and "events" in one and not one.get("deviations")
    ]
    stages = sorted(found[_OURS]["stages"].items(), key=lambda one: -one[1])
    loads = [
        (f"{name} at {float(share):.0%} load", latency[share][name], True)
        for share in latency
        if share.startswith("0.")
        for name in ("p50", "p95", "p99")
    ]
    return {
        "performance-systems.svg": plot.bars("CPU an event", "µs, less is better", systems),
        "performance-stages.svg": plot.bars(
            "CPU an event by stage, live",
            "µs",
            [(name, spent, True) for name, spent in stages if spent > 0.3],
        ),
        "performance-latency.svg": plot.bars("Event to readable list", "ms", loads),
    }


def fill(text: str, sections: Mapping[str, str]) -> str:
    """Return a page with its generated sections replaced.

    Raises
    ------
    SystemExit
        If the page has no such section.
    """
    for name, content in sections.items():
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        if not pattern.search(text):
            raise SystemExit(f"{PAGE} has no section {name}")
        text = pattern.sub(lambda found, content=content: found[1] + content + "\n" + found[2], text)
    return text


def main() -> None:
    """Write the page and its plots."""
    found, real = results.saved("throughput"), results.saved("throughput_real")
    scaling, memory, latency = (results.saved(name) for name in ("scaling", "memory", "latency"))
    sections = {
        "machine": machine(found),
        "targets": targets_table(found, scaling, memory, latency),
        "throughput": throughput_table(found),
        "real": throughput_table(real),
        "stages": stages_table(found),
        "bytes": bytes_table(found),
        "latency": latency_table(latency),
        "memory": memory_table(memory, scaling["recovery"]),
        "scaling": scaling_table(scaling),
        "model": model_table(found, memory),
    }
    PAGE.write_text(fill(PAGE.read_text(), sections))
    for name, image in plots(found, latency).items():
        (IMAGES / name).write_text(image)
    print(f"{PAGE} written")


if __name__ == "__main__":
    main()
