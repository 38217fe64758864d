"""What to do about a leaving user: actions under budgets, a contextual bandit, outcomes, and their worth.

Decisions are made beside the users' state and learned by the trainer; nothing here knows of Kafka or clocks.
"""
