"""Membership of the consumer group, in the form a transaction is fenced with (KIP-447)."""

import struct
from typing import NamedTuple

from confluent_kafka import Consumer

from streams.errors import EngineError

_MAGIC = b"CGMDv2:"
_NO_INSTANCE = b"\x01"


class Membership(NamedTuple):
    """Who this worker was in its group when its partitions were assigned.

    Parameters
    ----------
    group, instance
        Group id and static instance id.
    generation, member
        Taken together from the coordinator in the assignment callback.
    """

    group: str
    instance: str | None
    generation: int
    member: str

    @property
    def may_commit(self) -> bool:
        """Whether the coordinator has really admitted this member."""
        return self.generation >= 1 and bool(self.member)

    def continues(self, earlier: "Membership | None") -> bool:
        """Whether nobody else can have owned our partitions since `earlier`."""
        return (
            earlier is not None
            and self.may_commit
            and self.member == earlier.member
            and self.generation - earlier.generation in (0, 1)
        )

    def to_bytes(self) -> bytes:
        r"""Return librdkafka's serialised group metadata for this membership.

        librdkafka offers no constructor for a membership that another client holds, only the bytes
        (``rd_kafka_consumer_group_metadata_write``); `check_layout` guards against a change of them.

        >>> Membership("g", None, 3, "m").to_bytes()
        b'CGMDv2:\x03\x00\x00\x00g\x00m\x00\x01'
        """
        instance = _NO_INSTANCE if self.instance is None else b"\0" + self.instance.encode() + b"\0"
        return (
            _MAGIC
            + struct.pack("<i", self.generation)
            + self.group.encode()
            + b"\0"
            + self.member.encode()
            + b"\0"
            + instance
        )


def check_layout() -> None:
    """Compare `Membership.to_bytes` with the bytes of a real consumer.

    Raises
    ------
    EngineError
        The installed librdkafka writes group metadata in another layout, so commits could not be fenced.
    """
    for instance in (None, "layout-check"):
        config: dict[str, str | int] = {"bootstrap.servers": "", "group.id": "layout-check"}
        if instance is not None:
            config["group.instance.id"] = instance
        consumer = Consumer(config)
        try:
            theirs = consumer.consumer_group_metadata()
        finally:
            consumer.close()
        ours = Membership("layout-check", instance, -1, "").to_bytes()
        if theirs != ours:
            raise EngineError(
                f"confluent-kafka writes group metadata as {theirs!r}, this version expects {ours!r}; "
                "install a confluent-kafka release within the range of pyproject.toml"
            )
