"""Figures as a run leaves them, of a machine that is not there."""

from benchmarks.systems import BOUND, STREAMS
from benchmarks.throughput import BROADCAST, OURS, REPLAY

_RUN = {
    "command": "benchmarks.throughput",
    "day": "2026-01-31",
    "seconds": 61.2,
    "load": [0.1, 1.2],
    "machine": "a processor, 2 cores, Linux x86_64, Python 3.11.7",
}


def system(micros, **others):
    """Return a system that needs so many microseconds an event."""
    return {
        "events": 1_000,
        "share": 1.0,
        "whole": True,
        "cpu": micros / 1e3,
        "bytes_per_event": 300.0,
        "deviations": 0,
        **others,
    }


def ours(micros=100.0, broadcast=20.0):
    return system(
        micros,
        asking=800,
        lists=400.0,
        scores=50.0,
        stages={"decode": micros - broadcast, BROADCAST: broadcast},
        row_cost=30.0,
        event_bytes=200.0,
        broker=40.0,
        bytes_by_topic={"recommendations.v1": 120.4, "churn.alerts.v1": 0.2},
    )


def parts():
    return {
        "throughput": {
            OURS: ours(),
            REPLAY: ours(150.0),
            BOUND: system(40.0, part=True),
            "Bytewax": system(1_200.0),
            "Quix Streams": system(500.0, slow=True, whole=False),
            "Faust": system(50.0, deviations=3),
            STREAMS: {"skipped": "there is no java"},
            "run": _RUN,
        },
        "memory": {
            "user": 1_000.0,
            "item": 1_500.0,
            "item, broadcast": 1_500.0,
            "full item": 3_000.0,
            "full item, broadcast": 2_000.0,
            "label": 50.0,
            "run": _RUN,
        },
        "growth": {
            "base": {
                "cost": 100.0,
                "broker": 30.0,
                "rate": 3_000.0,
                "resident": 2**28,
                "stages": {"lists": 20.0},
            },
            "10 times users and items": {
                "cost": 130.0,
                "broker": 30.0,
                "rate": 2_500.0,
                "resident": 2**29,
                "stages": {"lists": 30.0},
            },
            "run": _RUN,
        },
        "latency": {
            "capacity": 4_000.0,
            "0.5": {
                "rate": 2_000.0,
                "p50": 100.0,
                "p95": 180.0,
                "p99": 240.0,
                "events": 9_000,
                "batch": 20.0,
                "cost": 90.0,
            },
            "run": _RUN,
        },
    }
