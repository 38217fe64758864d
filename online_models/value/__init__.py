"""What customers are worth and where they stand: expected value, segments, lifecycle, retention.

Pure code on the rows of users; it decides nothing and sends nothing.
"""
