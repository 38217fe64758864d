"""Changelog rows of what is kept of each subject as one object, behind a prefix of its own."""

from collections.abc import Callable, Collection, Iterable, MutableMapping
from typing import TypeVar

from online_models import snapshots
from online_models.errors import blame
from online_models.journal import Row

Held = TypeVar("Held")


def changed_rows(
    prefix: bytes, subjects: Collection[str], row_of: Callable[[str], bytes | None]
) -> list[Row]:
    """Return the rows of subjects, ordered by subject.

    Parameters
    ----------
    prefix
        What their keys begin with.
    subjects
        Whose rows.
    row_of
        What is kept of a subject, packed; None where nothing is.

    Examples
    --------
    >>> changed_rows(b"x:", {"u:bob", "u:ann"}, {"u:bob": b"7"}.get)
    [(b'x:u:ann', None), (b'x:u:bob', b'7')]
    """
    return [(prefix + subject.encode(), row_of(subject)) for subject in sorted(subjects)]


def load_rows(
    prefix: bytes,
    rows: Iterable[Row],
    held: MutableMapping[str, Held],
    *,
    kind: str,
    read: Callable[[bytes], Held],
) -> None:
    """Take rows that `changed_rows` returned, in log order, into `held`.

    Parameters
    ----------
    prefix
        What their keys begin with.
    rows
        Keys and values; None deletes.
    held
        What is kept, by subject.
    kind
        What a message calls it.
    read
        Unpacks a value.

    Raises
    ------
    CorruptStateError
        When a row cannot be loaded; the message names its key.
    """
    for key, value in rows:
        subject = key.removeprefix(prefix).decode()
        if value is None:
            held.pop(subject, None)
            continue
        with blame(key), snapshots.reading(kind):
            held[subject] = read(value)
