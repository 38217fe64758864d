"""Benchmarks, each run with ``python -m benchmarks.NAME``; only figures of one run compare."""
