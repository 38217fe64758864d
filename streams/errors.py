"""The errors of moving data, below the tree of `online_models.errors`.

KeepstreamError
├── SettingsError              an unknown key or a value that cannot be read
├── BrokerUnavailableError     no broker answered before the deadline
├── TopicsError                topics are missing or do not fit the topic table
├── SourceError                an input file cannot be read
├── ErasureError               an erasure was rejected, or no worker has applied it in time
└── EngineError
    ├── PositionLostError      the log does not hold the committed position
    ├── FencedError            the group or another producer has taken over
    └── CommitError            a transaction that cannot succeed (too large, not authorised)
"""

from online_models.errors import KeepstreamError


class SettingsError(KeepstreamError):
    """A setting has an unknown name or a value that cannot be read."""


class BrokerUnavailableError(KeepstreamError):
    """No broker answered before the deadline."""


class TopicsError(KeepstreamError):
    """Topics are missing or do not fit the topic table."""


class SourceError(KeepstreamError):
    """An input file cannot be read; the message names file, line and column."""


class ErasureError(KeepstreamError):
    """An erasure was rejected, or no worker has applied it in time."""


class EngineError(KeepstreamError):
    """Base of the errors of the durability engine."""


class PositionLostError(EngineError):
    """The log does not hold the committed position: retention passed it, or the broker lost its tail."""


class FencedError(EngineError):
    """The consumer group or a producer with the same transactional id has taken over."""


class CommitError(EngineError):
    """A transaction that cannot succeed as it is; the message names the reason."""
