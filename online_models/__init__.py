"""Every decision Keepstream takes, as pure code on numpy columns and River models.

Nothing here knows Kafka, Faust, asyncio, a wall clock or an environment variable; `streams` brings the data.
"""
