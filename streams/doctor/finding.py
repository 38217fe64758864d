"""What the doctor says: one finding per check."""

from typing import Literal, NamedTuple

Verdict = Literal["PASS", "WARN", "FAIL"]


class Finding(NamedTuple):
    """The outcome of one check.

    Parameters
    ----------
    check
        Name of the check.
    verdict
        FAIL: something does not work or is lost. WARN: it works, and somebody should look.
    found
        What was seen, with numbers.
    remedy
        What to do; empty where nothing is to be done.
    """

    check: str
    verdict: Verdict
    found: str
    remedy: str = ""


def duration_in_words(seconds: float) -> str:
    """Return a duration as people say it.

    >>> [duration_in_words(s) for s in (0.25, 42, 600, 9_000, 250_000)]
    ['0.2 s', '42 s', '10 min', '2.5 h', '2.9 d']
    """
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"
