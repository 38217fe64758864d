"""Recommendations: item pairs, co-occurrence, candidates, ranking and lists. Pure code on numpy and River."""
