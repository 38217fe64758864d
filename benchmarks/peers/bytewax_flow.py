"""Bytewax: a dataflow with two keyed stateful steps; its workers exchange items in memory, without a topic.

After https://docs.bytewax.io/stable/tutorials/ and its guide to Kafka. Recovery is off, which favours it.
"""

from typing import Any

import bytewax.operators as op
import msgspec
from bytewax.connectors.kafka import KafkaSinkMessage, KafkaSourceMessage
from bytewax.connectors.kafka import operators as kop
from bytewax.dataflow import Dataflow
from bytewax.testing import cluster_main

from benchmarks.peers.meter import Measured, Task


def build(task: Task) -> Dataflow:
    """Return the dataflow."""
    job = Measured(task)
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode

    def keyed(message: KafkaSourceMessage[Any, Any]) -> tuple[str, Any]:
        return message.key.decode(), decode(message.value)

    def on_event(row: Any, pair: Any) -> Any:
        key, event = pair
        row, updates, documents = job.user(key, row, event)
        return row, [*updates.items(), *((None, found) for found in documents)]

    def on_pairs(row: Any, pair: Any) -> Any:
        return job.item(pair[0], row, pair[1]), ()

    def message(pair: tuple[str, Any]) -> KafkaSinkMessage[bytes, bytes]:
        return KafkaSinkMessage(pair[0].encode(), encode(pair[1][1]))

    flow = Dataflow("peer")
    read = kop.input("read", flow, brokers=[task.bootstrap], topics=[task.source])
    by_user = op.map("decode", read.oks, lambda one: (keyed(one)[0], keyed(one)))
    followed = op.stateful_flat_map("users", by_user, on_event)
    parts = op.branch("parts", followed, lambda one: one[1][0] is not None)
    by_item = op.map("by-item", parts.trues, lambda one: (one[1][0], one[1]))
    counted = op.stateful_flat_map("items", by_item, on_pairs)
    kop.output("write", op.map("encode", parts.falses, message), brokers=[task.bootstrap], topic=task.lists)
    op.inspect("nothing", counted, lambda _step, _item: None)
    return flow


def main() -> None:
    """Run one worker until killed."""
    cluster_main(build(Task.parse()), [], 0)


if __name__ == "__main__":
    main()
