"""A simulated shop: seeded, fast, and with a known truth about who leaves when and why.

It yields events and knows nothing of brokers or models; what it knows about its users never reaches an event.
"""

from streams.sources.simulator.config import ShopConfig
from streams.sources.simulator.shop import Shop, simulate
from streams.sources.simulator.truth import UserTruth

__all__ = ["Shop", "ShopConfig", "UserTruth", "simulate"]
