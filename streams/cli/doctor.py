"""`keepstream doctor`: what is wrong with broker, topics, workers and producers, and what to do."""

import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.settings import duration, load

if TYPE_CHECKING:
    from collections.abc import Iterator

    from streams.doctor import Finding

_STYLES = {"PASS": "green", "WARN": "yellow", "FAIL": "bold red"}


def command(
    *,
    wait: Annotated[
        str, typer.Option(metavar="DURATION", help="How long to wait for a broker that does not answer.")
    ] = "10s",
    sample: Annotated[
        int, typer.Option(min=0, help="Newest events of every partition to look at for their producers.")
    ] = 2_000,
    group: Annotated[str | None, typer.Option(metavar="NAME", help="Consumer group of the workers.")] = None,
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Look for what is wrong with broker, topics, workers and producers, and say what to do.

    Each check ends in PASS, WARN (somebody should look) or FAIL (something does not work, or is lost). It
    reads beside the workers and changes nothing; one record in the probe topic shows the broker's clock.
    The exit code is 1 if a check failed. For example:

      keepstream doctor

      keepstream doctor --bootstrap-servers kafka-1:9092 --wait 60s

      keepstream doctor --json | jq '.[] | select(.verdict != "PASS")'
    """
    from streams import clients
    from streams.doctor import examine

    limit = duration(wait)
    settings = load(config, bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix, group=group)
    findings = examine(clients.require(settings), wait=limit, sample=sample)
    found = _as_json(findings) if json_ else _print(findings)
    raise typer.Exit(int(any(finding.verdict == "FAIL" for finding in found)))


def _as_json(findings: "Iterator[Finding]") -> "list[Finding]":
    found = list(findings)
    print(json.dumps([finding._asdict() for finding in found], ensure_ascii=False, indent=2))
    return found


def _print(findings: "Iterator[Finding]") -> "list[Finding]":
    """Print each finding as it comes: a check may take seconds."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    from streams.cli.tail_lines import printable

    console = Console(highlight=False)
    found = []
    for finding in findings:
        found.append(finding)
        console.print(
            Text.assemble((finding.verdict, _STYLES[finding.verdict]), "  ", (finding.check, "bold"))
        )
        console.print(Padding(Text(printable(finding.found)), (0, 0, 0, 6)))
        if finding.remedy:
            console.print(Padding(Text(f"-> {finding.remedy}", style="italic"), (0, 0, 0, 6)))
        sys.stdout.flush()
    counts = {verdict: sum(one.verdict == verdict for one in found) for verdict in _STYLES}
    console.print(f"\n{counts['PASS']} passed, {counts['WARN']} warnings, {counts['FAIL']} failed")
    return found
