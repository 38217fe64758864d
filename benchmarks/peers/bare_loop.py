"""A loop over confluent-kafka with dictionaries: nothing survives its process, nothing is exactly once."""

import msgspec
from confluent_kafka import Consumer, Producer

from benchmarks.peers.meter import Measured, Task


def main() -> None:
    """Read, compute, write, until killed."""
    task = Task.parse()
    job = Measured(task)
    encode, decode = msgspec.json.Encoder().encode, msgspec.json.Decoder().decode
    consumer = Consumer(
        {"bootstrap.servers": task.bootstrap, "group.id": task.source, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([task.source])
    producer = Producer({"bootstrap.servers": task.bootstrap, "linger.ms": 20})
    while True:
        for message in consumer.consume(500, 0.1):
            raw, value = message.key(), message.value()
            if message.error() is not None or raw is None or value is None:
                continue
            key = raw.decode()
            _, updates, documents = job.user(key, job.user_rows.get(key), decode(value))
            for item, changes in updates.items():
                job.item(item, job.item_rows.get(item), changes)
            for found in documents:
                producer.produce(task.lists, encode(found), raw)
        producer.poll(0)


if __name__ == "__main__":
    main()
