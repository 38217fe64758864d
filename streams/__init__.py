"""Moves bytes: Kafka in and out, the exactly-once engine, agents, commands, metrics.

No decision about users or items is taken here; those live in `online_models`.
"""
