"""Churn: user profiles, features, labels, the model and the alert policy. Pure code on numpy and River."""
