"""Other ways to do the job, each as its own documentation recommends; `benchmarks.throughput` runs them.

They share `job.py`, so that what differs is the framework: how events come in, where state lives, how
the pairs of an item meet. None of them reads anything of Keepstream.
"""
