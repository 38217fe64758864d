"""The durability engine: record batches through Faust, one transaction per worker, restore from changelogs.

Nothing here knows what an event is; agents bring a `Handler` per partition.
"""
