"""The demo: a simulated shop is fed to a real worker, and what comes out of the topics is shown.

Everything on the screen is read from Kafka or from the worker's metrics; nothing here computes a result.
"""
