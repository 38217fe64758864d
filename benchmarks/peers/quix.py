"""Quix Streams: two streaming dataframes with state in RocksDB and changelogs, items by a repartition topic.

After https://quix.io/docs/quix-streams/advanced/stateful-processing.html, at least once as by default.
"""

import json
from collections.abc import Iterator
from typing import Any

from quixstreams import Application, State

from benchmarks.peers.meter import Measured, Task


def main() -> None:
    """Run the application until killed."""
    task = Task.parse()
    job = Measured(task)
    app = Application(
        broker_address=task.bootstrap,
        consumer_group=f"{task.source}-quix",
        auto_offset_reset="earliest",
        state_dir=str(task.directory),
        loglevel="WARNING",
    )
    events = app.topic(task.source, key_deserializer="str", value_deserializer="json")
    pairs = app.topic(task.pairs, key_deserializer="str", key_serializer="str", value_serializer="json")
    lists = app.topic(task.lists, key_serializer="str", value_serializer="json")

    def on_event(event: Any, key: Any, _timestamp: int, _headers: Any, state: State) -> Any:
        kept = state.get("row")
        row, updates, documents = job.user(key, None if kept is None else json.loads(kept), event)
        state.set("row", json.dumps(row))
        return updates, documents

    def on_pairs(changes: Any, key: Any, _timestamp: int, _headers: Any, state: State) -> None:
        kept = state.get("row")
        state.set("row", json.dumps(job.item(key, None if kept is None else json.loads(kept), changes)))

    followed = app.dataframe(events).apply(on_event, stateful=True, metadata=True)
    followed.apply(_updates, expand=True).to_topic(pairs, key=lambda one: one["item"])
    followed.apply(lambda both: both[1], expand=True).to_topic(lists)
    by_item = app.dataframe(pairs).apply(lambda one: one["changes"])
    by_item.update(on_pairs, stateful=True, metadata=True)
    app.run()


def _updates(both: Any) -> Iterator[dict[str, Any]]:
    for item, changes in both[0].items():
        yield {"item": item, "changes": changes}


if __name__ == "__main__":
    main()
