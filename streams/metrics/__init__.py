"""Prometheus metrics of a worker: one table of what is measured, and the registry that is fed with it.

Numbers only: nothing here decides anything, and no label ever holds the id of a user or an item.
"""

from streams.metrics.held import Held
from streams.metrics.metric import Metric
from streams.metrics.registry import Metrics
from streams.metrics.table import TABLE

__all__ = ["TABLE", "Held", "Metric", "Metrics"]
