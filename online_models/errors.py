"""The exception tree of Keepstream; bad input is a value (`Reject`), exceptions mean bugs and outages.

KeepstreamError
├── InvalidParameterError      a constructor argument outside its range
├── CorruptStateError          a state row or snapshot that cannot be loaded
└── (streams.errors adds the errors of settings, topics, brokers and the engine)
"""


class KeepstreamError(Exception):
    """Base of every error that Keepstream raises on purpose."""


class InvalidParameterError(KeepstreamError, ValueError):
    """A constructor argument is outside its range; the message names it and the value it got."""


class CorruptStateError(KeepstreamError):
    """A state row or a model snapshot cannot be loaded; the message names which and why."""
