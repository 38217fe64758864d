"""Settings that protect people from the shop's models, and the models from machines."""

from dataclasses import dataclass
from datetime import timedelta

from streams.pseudonyms import Pseudonyms
from streams.settings.section import Section, period, setting
from streams.settings.values import Secret


@dataclass(frozen=True)
class Privacy(Section):
    """Whether ids of people are replaced where events come in."""

    pseudonym_key: Secret = setting(
        Secret(),
        "Key of at least 16 characters: user_id and anonymous_id are replaced by keyed hashes at ingest, "
        "so in state and outputs too. Empty: ids stay as they are. The same on all workers, for ever.",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pseudonym_key:
            Pseudonyms(self.pseudonym_key.reveal())

    @property
    def pseudonyms(self) -> Pseudonyms | None:
        """What replaces ids; None where nothing does."""
        return Pseudonyms(self.pseudonym_key.reveal()) if self.pseudonym_key else None


@dataclass(frozen=True)
class Quarantine(Section):
    """Which users are counted, but not learned from."""

    hourly_events: int = setting(
        5_000, "Events of one user in an hour; those beyond are counted, but not learned from.", at_least=1
    )
    suspicious_events: int = setting(
        2_000,
        "From so many events in an hour on, a user who is also unlike other busy ones counts as a machine.",
        at_least=60,
    )
    quarantine_time: timedelta = period(
        "1d", "How long such a user is not learned from, after that hour.", at_least="1h"
    )
