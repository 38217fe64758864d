"""The HTTP side of a worker: metrics, health, and read-only lookups that find their owner.

Nothing here changes state; what is answered comes from the handlers of this worker or of another one.
"""

from streams.api.server import Server
from streams.api.worker import ApiWorker

__all__ = ["ApiWorker", "Server"]
