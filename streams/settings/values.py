"""Values of settings: how text becomes a duration, a number, a switch or a secret, and back."""

import re
import types
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

from online_models.errors import InvalidParameterError

FOREVER: Final = timedelta.max
"""The duration written `forever`."""

_UNITS: Final = {
    "d": timedelta(days=1),
    "h": timedelta(hours=1),
    "m": timedelta(minutes=1),
    "s": timedelta(seconds=1),
    "ms": timedelta(milliseconds=1),
}
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|d|h|m|s)")
_SWITCH: Final = {"true": True, "1": True, "yes": True, "on": True} | {
    "false": False,
    "0": False,
    "no": False,
    "off": False,
}


class Secret:
    """A text that neither `repr` nor a log line shows.

    >>> Secret("hunter2"), Secret("hunter2").reveal(), bool(Secret(""))
    (Secret('***'), 'hunter2', False)
    """

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the text itself, for the client that needs it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return f"Secret({'***' if self._text else ''!r})"


def duration(text: str) -> timedelta:
    """Return the duration that a text names.

    Parameters
    ----------
    text
        Numbers with the units d, h, m, s and ms, largest first or not, or ``forever``; a bare ``0`` is none.

    Raises
    ------
    InvalidParameterError
        If the text is no such duration; a bare number is none, as its unit is unknown.

    Examples
    --------
    >>> duration("28d"), duration("1h30m"), duration("100ms")
    (datetime.timedelta(days=28), datetime.timedelta(seconds=5400), datetime.timedelta(microseconds=100000))
    """
    plain = text.strip().lower().replace(" ", "")
    if plain == "forever":
        return FOREVER
    if plain == "0":
        return timedelta(0)
    parts = _PART.findall(plain)
    if not parts or "".join(number + unit for number, unit in parts) != plain:
        raise InvalidParameterError(f"a duration such as 28d, 1h30m or 100ms is needed, not {text!r}")
    try:
        return sum((float(number) * _UNITS[unit] for number, unit in parts), timedelta(0))
    except OverflowError:
        raise InvalidParameterError(f"the duration {text!r} is too long; did you mean forever?") from None


def milliseconds(value: timedelta) -> int:
    """Return a duration in whole milliseconds, as everything inside counts it.

    >>> milliseconds(duration("1h"))
    3600000
    """
    return value // _UNITS["ms"]


def in_words(value: object) -> str:
    """Return a value as one would write it into a settings file.

    >>> in_words(timedelta(days=1, hours=12)), in_words(True), in_words(("a", "b")), in_words(Secret("x"))
    ('1d12h', 'true', 'a, b', '***')
    """
    if isinstance(value, timedelta):
        return _duration_in_words(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(in_words(part) for part in value)
    if isinstance(value, Secret):
        return "***" if value else ""
    return "" if value is None else str(value)


def _duration_in_words(value: timedelta) -> str:
    if value == FOREVER:
        return "forever"
    words, rest = "", value
    for unit, size in _UNITS.items():
        count, rest = divmod(rest, size)
        words += f"{count}{unit}" if count else ""
    return words or "0"


def _number(text: str) -> int:
    return int(text.replace("_", ""))


def _switch(text: str) -> bool:
    return _SWITCH[text.strip().lower()]


_READERS: Final[dict[Any, tuple[str, Callable[[str], Any]]]] = {
    str: ("a text", str),
    int: ("a whole number", _number),
    float: ("a number", float),
    bool: ("true or false", _switch),
    timedelta: ("a duration", duration),
    Path: ("a path", lambda text: Path(text).expanduser()),
    Secret: ("a text", Secret),
}


def read(kind: Any, raw: object) -> Any:
    """Return a raw value (text of the environment, a TOML value or a ready value) as the type of its setting.

    Parameters
    ----------
    kind
        The annotation of the setting: str, int, float, bool, timedelta, Path, Secret, a Literal of texts, a
        tuple of one of them (``tuple[str, ...]``, written with commas), or one of them ``| None``.
    raw
        What was given.

    Raises
    ------
    InvalidParameterError
        If the value cannot be read as that type; the message says what is needed.

    Examples
    --------
    >>> read(tuple[str, ...], "a, b"), read(int, "64_000"), read(bool, "on")
    (('a', 'b'), 64000, True)
    """
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        inner = next(part for part in get_args(kind) if part is not type(None))
        return None if raw is None else read(inner, raw)
    if origin is tuple:
        parts = [part.strip() for part in raw.split(",")] if isinstance(raw, str) else raw
        if not isinstance(parts, list | tuple):
            raise InvalidParameterError(f"a list is needed, not {raw!r}")
        return tuple(read(get_args(kind)[0], part) for part in parts if part != "")
    if origin is Literal:
        if raw not in get_args(kind):
            raise InvalidParameterError(f"one of {', '.join(get_args(kind))} is needed, not {raw!r}")
        return raw
    return _read_plain(kind, raw)


def _read_plain(kind: Any, raw: object) -> Any:
    needed, reader = _READERS[kind]
    if kind is float and isinstance(raw, int) and not isinstance(raw, bool):
        return float(raw)
    if isinstance(raw, kind) and (kind is bool or not isinstance(raw, bool)):
        return raw
    if not isinstance(raw, str):
        shown = "a number or a table" if kind is Secret else repr(raw)
        raise InvalidParameterError(f"{needed} is needed, not {shown}")
    try:
        return reader(raw)
    except InvalidParameterError:
        raise
    except (ValueError, KeyError):
        raise InvalidParameterError(f"{needed} is needed, not {raw!r}") from None
