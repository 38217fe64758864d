"""The errors of moving data, below the tree of `online_models.errors`.

KeepstreamError
├── SettingsError              an unknown key or a value that cannot be read
├── BrokerUnavailableError     no broker answered before the deadline
├── TopicsError                topics are missing or do not fit the topic table
├── SourceError                an input file cannot be read
├── StateCopyError             state cannot be saved to a file or loaded from one
├── ErasureError               an erasure was rejected, or no worker has applied it in time
└── EngineError
    ├── PositionLostError      the log does not hold the committed position
    ├── CorruptChangelogError  a row of a changelog cannot be loaded; a CorruptStateError too
    ├── FencedError            the group or another producer has taken over
    ├── CommitError            a transaction that cannot succeed (too large, not authorised)
    └── StalledError           the worker stands still though there is work
"""

from online_models.errors import CorruptStateError, KeepstreamError


class SettingsError(KeepstreamError):
    """A setting has an unknown name or a value that cannot be read."""


class BrokerUnavailableError(KeepstreamError):
    """No broker answered before the deadline."""


class TopicsError(KeepstreamError):
    """Topics are missing or do not fit the topic table."""


class SourceError(KeepstreamError):
    """An input file cannot be read; the message names file, line and column."""


class StateCopyError(KeepstreamError):
    """State cannot be saved to a file or loaded from one as things are; the message says what to do."""


class ErasureError(KeepstreamError):
    """An erasure was rejected, or no worker has applied it in time."""


class EngineError(KeepstreamError):
    """Base of the errors of the durability engine."""


class PositionLostError(EngineError):
    """The log does not hold the committed position: retention passed it, or the broker lost its tail."""


class CorruptChangelogError(EngineError, CorruptStateError):
    """A changelog cannot be loaded; the message names topic, partition, and offset and key of the row."""


class FencedError(EngineError):
    """The consumer group or a producer with the same transactional id has taken over."""


class CommitError(EngineError):
    """A transaction that cannot succeed as it is; the message names the reason."""


class StalledError(EngineError):
    """The worker stands still though there is work; starting it anew is the remedy."""
