"""What is wrong with broker, topics and workers: the broker and the workers are asked, pure functions judge.

Nothing here changes anything, but for one record in the probe topic, which shows the broker's clock.
"""

from streams.doctor.finding import Finding, Verdict
from streams.doctor.run import examine

__all__ = ["Finding", "Verdict", "examine"]
