"""What a section of settings is: a frozen dataclass; every value has a default, a meaning and a range."""

from dataclasses import field, fields
from typing import Any

from online_models.errors import InvalidParameterError
from streams.settings.values import duration, in_words


def setting(default: Any, text: str, *, at_least: Any = None, at_most: Any = None) -> Any:
    """Declare a setting: its default, what it means, and the range it may have (bounds included)."""
    return field(default=default, metadata={"help": text, "at_least": at_least, "at_most": at_most})


def period(default: str, text: str, *, at_least: str = "0", at_most: str = "forever") -> Any:
    """Declare a setting that is a duration, its default and bounds written as `duration` reads them."""
    return setting(duration(default), text, at_least=duration(at_least), at_most=duration(at_most))


class Section:
    """Base of the sections: checks the range of every value."""

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]  # only dataclasses derive from it
            value = getattr(self, item.name)
            low, high = item.metadata["at_least"], item.metadata["at_most"]
            if low is not None and value is not None and value < low:
                raise InvalidParameterError(
                    f"{item.name} must be at least {in_words(low)}, not {in_words(value)}"
                )
            if high is not None and value is not None and value > high:
                raise InvalidParameterError(
                    f"{item.name} must be at most {in_words(high)}, not {in_words(value)}"
                )
