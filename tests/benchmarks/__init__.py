"""Tests of the benchmarks: what they compare is the same, and the guard notices."""
