"""Faust event by event: an agent for users, a topic of pairs, an agent for items, two tables.

After https://faust-streaming.github.io/faust/userguide/tables.html. The published partners of items
are shared within the process, which costs less than the global table they would be in.
"""

from typing import Any

import faust

from benchmarks.peers.meter import Measured, Task

_PARTITIONS = 4


def build(task: Task) -> faust.App:
    """Return the app."""
    job = Measured(task)
    app = faust.App(
        f"{task.source}-faust",
        broker=f"kafka://{task.bootstrap}",
        store="memory://",
        datadir=task.directory,
        topic_partitions=_PARTITIONS,
        topic_replication_factor=1,
        topic_disable_leader=True,
        web_enabled=False,
        consumer_auto_offset_reset="earliest",
    )
    events = app.topic(task.source, key_type=str, value_serializer="json")
    pairs = app.topic(task.pairs, key_type=str, value_serializer="json")
    lists = app.topic(task.lists, key_type=str, value_serializer="json")
    users = app.Table("users", partitions=_PARTITIONS)
    items = app.Table("items", partitions=_PARTITIONS)

    @app.agent(events)
    async def on_event(stream: Any) -> None:
        async for key, event in stream.items():
            users[key], updates, documents = job.user(key, users.get(key), event)
            for item, changes in updates.items():
                await pairs.send(key=item, value=changes)
            for found in documents:
                await lists.send(key=key, value=found)

    @app.agent(pairs)
    async def on_pairs(stream: Any) -> None:
        async for item, changes in stream.items():
            items[item] = job.item(item, items.get(item), changes)

    return app


def main() -> None:
    """Run a worker until killed."""
    faust.Worker(build(Task.parse()), loglevel="WARNING").execute_from_commandline()


if __name__ == "__main__":
    main()
