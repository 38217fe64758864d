"""What a metric is: a line of the table."""

from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class Metric(NamedTuple):
    """One line of the table.

    Parameters
    ----------
    name
        Name in Prometheus, unit and `_total` included.
    kind
        Counter, gauge or histogram.
    unit
        What one of it is.
    meaning
        What it says, in one sentence.
    labels
        Names of its labels; every one has few values.
    buckets
        Upper bounds of a histogram.
    values
        Values of a counter's only label that are known beforehand. Their series stand at 0 from the start,
        because Prometheus sees no increase in a series that begins with 1.
    """

    name: str
    kind: Kind
    unit: str
    meaning: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    values: tuple[str, ...] = ()


def counter(name: str, unit: str, meaning: str, *labels: str, values: tuple[str, ...] = ()) -> Metric:
    """Return a counter; `values` are those of its only label that are known beforehand."""
    return Metric(name, "counter", unit, meaning, labels, values=values)


def gauge(name: str, unit: str, meaning: str, *labels: str) -> Metric:
    """Return a gauge."""
    return Metric(name, "gauge", unit, meaning, labels)


def histogram(name: str, unit: str, meaning: str, buckets: tuple[float, ...], *labels: str) -> Metric:
    """Return a histogram with these upper bounds."""
    return Metric(name, "histogram", unit, meaning, labels, buckets)
