"""`keepstream erase`: everything known of a user is forgotten, and where wanted it is seen to be gone."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streams.cli.options import BootstrapServers, Config, Json, TopicPrefix
from streams.settings import duration, load

if TYPE_CHECKING:
    from streams.erasure import Finding, Sent
    from streams.settings import Settings


def command(
    user: Annotated[str, typer.Argument(metavar="ID", help="The user_id, or the anonymous_id.")],
    *,
    anonymous: Annotated[
        bool, typer.Option("--anonymous", help="ID is an anonymous_id of a visitor without user_id.")
    ] = False,
    check: Annotated[
        bool, typer.Option("--verify", help="Wait for a worker, then read the topics to see what is gone.")
    ] = False,
    timeout: Annotated[
        str, typer.Option(metavar="DURATION", help="How long to wait for broker and worker.")
    ] = "60s",
    json_: Json = False,
    config: Config = None,
    bootstrap_servers: BootstrapServers = None,
    topic_prefix: TopicPrefix = None,
) -> None:
    """Erase a user: profile, pending labels, alerts, last score, dead letters under the id.

    Sends the event `user_erased`; workers do the rest. What comes from the user afterwards begins a new
    profile. With --verify the exit code is 0 only if everything that can be gone is gone. For example:

      keepstream erase c-4711 --verify
      keepstream erase visitor-99 --anonymous --json
    """
    import time

    from streams import erasure
    from streams.cli.lookup import subject_of

    seconds = duration(timeout).total_seconds()
    value = erasure.event_of(user, time.time_ns() // 1_000_000, anonymous=anonymous)
    settings = _reach(load(config, bootstrap_servers=bootstrap_servers, topic_prefix=topic_prefix))
    subject = subject_of(("a:" if anonymous else "u:") + user, settings)
    standing = erasure.Standing(user, subject, erasure.ends_of(settings) if check else {})
    sent = erasure.send(settings, user.encode(), value, deadline_s=seconds)
    if not json_:
        print(f"{standing.subject}: asked for at {sent.topic}[{sent.partition}]@{sent.offset}")
    findings = erasure.verify(settings, sent, standing, timeout_s=seconds, say=_say) if check else []
    if json_:
        print(json.dumps(_document(standing.subject, sent, findings), indent=2))
    else:
        _print(findings)
    if any(finding.state == "present" for finding in findings):
        raise typer.Exit(1)


def _reach(settings: "Settings") -> "Settings":
    """Return settings with the address of a broker that answers and has the topics."""
    from streams import clients, topics
    from streams.errors import TopicsError

    settings = clients.require(settings)
    clients.wait_for_broker(settings.broker, say=_say)
    existing = topics.list_existing(settings)
    missing = [name for topic in topics.TOPICS if (name := topic.full_name(settings)) not in existing]
    if missing:
        raise TopicsError(f"the broker has no topic {missing[0]}: is this the right topic_prefix?")
    return settings


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _document(subject: str, sent: "Sent", findings: Sequence["Finding"]) -> dict[str, Any]:
    document: dict[str, Any] = {"subject": subject, "request": sent._asdict()}
    if findings:
        document["erased"] = all(finding.state != "present" for finding in findings)
        document["findings"] = [finding._asdict() for finding in findings]
    return document


def _print(findings: Sequence["Finding"]) -> None:
    for finding in findings:
        print(f"{finding.topic}  {finding.what}: {_in_words(finding)}")
    if any(finding.state == "present" for finding in findings):
        print("not everything is erased")


def _in_words(finding: "Finding") -> str:
    """Return what became of something.

    >>> from streams.erasure import Finding
    >>> _in_words(Finding("t", "events", "leaves", 1772360100250, 1772360100250))
    'leaves by retention, by 2026-03-01 10:15 UTC'
    >>> _in_words(Finding("t", "last score", "deleted", 1772360100250, 1772964900250))
    'tombstone written, older rows go by 2026-03-01 10:15 UTC, the tombstone by 2026-03-08 10:15 UTC'
    """
    rows = "no deadline for older rows: nothing compacts this topic"
    if finding.by is not None:
        rows = f"older rows go {_by(finding.by)}, the tombstone {_by(finding.id_by)}"
    words = {
        "gone": "gone",
        "deleted": f"tombstone written, {rows}",
        "replaced": f"deleted, {rows}",
        "leaves": f"leaves by retention, {_by(finding.by)}",
        "stays": "stays: no retention is set",
        "present": "STILL THERE",
    }[finding.state]
    return f"{words} ({finding.note})" if finding.note else words


def _by(time_ms: int | None) -> str:
    if time_ms is None:
        return "never"
    return f"by {datetime.fromtimestamp(time_ms / 1000, UTC):%Y-%m-%d %H:%M} UTC"
