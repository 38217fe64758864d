"""What to know of a run that is stuck or differs: where every partition stands, and who owns it."""

from collections.abc import Sequence
from typing import NamedTuple

from kafka import KafkaAdminClient

from streams.engine.restore import POSITION_KEY, decode_position
from tests.chaos.reading import COMMITTED, Progress, ends, records


class Agent(NamedTuple):
    """The topic an agent reads, and the one that holds its state and positions."""

    source: str
    changelog: str


def positions(bootstrap: str, changelog: str) -> dict[int, int]:
    """Return the newest position row of every partition of a changelog."""
    return {
        message.partition(): decode_position(message.value())
        for message in records(bootstrap, changelog)
        if message.key() == POSITION_KEY and message.value() is not None
    }


def standing(bootstrap: str, group: str, agents: Sequence[Agent]) -> str:
    """Return position, committed offset and log ends of every source partition, the group, transactions."""
    progress = Progress(bootstrap, group, [agent.source for agent in agents])
    committed = progress.positions()
    progress.close()
    lines = [_of_the_broker(bootstrap, group)]
    for source, changelog in agents:
        rows = positions(bootstrap, changelog)
        stable, end = ends(bootstrap, source, COMMITTED), ends(bootstrap, source)
        changelog_stable, changelog_end = ends(bootstrap, changelog, COMMITTED), ends(bootstrap, changelog)
        lines += [
            f"{source}[{p}]: position {rows.get(p)}, committed offset {committed[source, p]}, "
            f"stable end {stable[p]}, end {end[p]}; "
            f"changelog stable end {changelog_stable[p]}, end {changelog_end[p]}"
            for p in end
        ]
    return "\n".join(lines)


def _of_the_broker(bootstrap: str, group: str) -> str:
    """Return what the broker says of the group and of transactions under way."""
    admin = KafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        found = admin.describe_groups([group])[group]
        lines = [f"group {group}: {found['group_state']}, {len(found['members'])} members"]
        lines += [f"  {member}" for member in found["members"]]
        return "\n".join([*lines, f"transactions: {admin.list_transactions()}"])
    finally:
        admin.close()
