"""Where events come from besides Kafka: file layouts, public data sets and the simulated shop.

Everything here yields Keepstream events and knows nothing of brokers, stores or models.
"""

from streams.sources.reader import EventReader, read_events

__all__ = ["EventReader", "read_events"]
