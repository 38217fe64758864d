"""The rows of the models topic: the newest snapshot of a model, the last one of each day, and a pin.

The topic is compacted, so whatever is to stay has a key of its own.
"""

from typing import Final, Literal, NamedTuple

DAYS: Final = 32
"""Days of event time whose last snapshot is kept; the next one takes the place of the oldest."""

_DAY_MS: Final = 86_400_000

Kind = Literal["newest", "day", "pin"]


class ModelRow(NamedTuple):
    """What a key says: the model, and what the row is to it."""

    model: str
    kind: Kind


def newest_key(model: str) -> bytes:
    """Return the key of the newest snapshot."""
    return model.encode()


def day_key(model: str, event_time_ms: int) -> bytes:
    """Return the key under which the last snapshot of a day is kept.

    >>> day_key("churn", 40 * 86_400_000), day_key("churn", 8 * 86_400_000)
    (b'churn/day/08', b'churn/day/08')
    """
    return f"{model}/day/{event_time_ms // _DAY_MS % DAYS:02d}".encode()


def pin_key(model: str) -> bytes:
    """Return the key of the snapshot that scorers are told to use; a tombstone releases them."""
    return f"{model}/pin".encode()


def parse(key: bytes) -> ModelRow | None:
    """Return what a key says, None where it is none of ours.

    >>> parse(b"churn/day/08"), parse(b"churn/else")
    (ModelRow(model='churn', kind='day'), None)
    """
    model, _, rest = key.decode(errors="replace").partition("/")
    if not rest:
        return ModelRow(model, "newest")
    if rest == "pin":
        return ModelRow(model, "pin")
    return ModelRow(model, "day") if rest.startswith("day/") else None
