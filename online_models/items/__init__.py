"""Recommendations: item pairs, co-occurrence, candidates, ranking and lists. Pure code on numpy and River.

`users` makes pairs and lists here, `items` counts the pairs; how rows and batches travel is not known here.
"""
