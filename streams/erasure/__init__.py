"""Erasing a user from outside: the event that asks for it, and the topics read afterwards.

Here lives what `keepstream erase` does with the broker; what an erasure does to state is decided in
`online_models`, and performed by the users agent.
"""

from streams.erasure.deadlines import Limits
from streams.erasure.request import Sent, event_of, send
from streams.erasure.verify import Finding, Standing, ends_of, verify

__all__ = ["Finding", "Limits", "Sent", "Standing", "ends_of", "event_of", "send", "verify"]
