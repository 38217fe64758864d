"""How often experiments with lists see what is not there, and how many users they need to see what is.

``python -m benchmarks.experiments``: many experiments at once, looked at after every user of each variant.
"""

import argparse
from typing import Final

import numpy as np

from online_models.events import Floats
from online_models.experiments.confidence import MeanSequences

_ALPHA: Final = 0.05
_USUAL: Final = 1.96
_LISTS: Final = 4
_RATE: Final = 0.3


def verdicts(lift: float, runs: int, users: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Return after how many users of a variant each of n experiments had a verdict, inf where it had none.

    Once by confidence sequences, and once by the usual interval of 95 % looked at after every user from the
    30th on. A user is a share of four lists that were hits.

    Parameters
    ----------
    lift
        By how much the hit rate of the variant lies above the control's.
    runs, users
        How many experiments, and users of each variant at most.
    rng
        Source of randomness.
    """
    ours, usual = np.full(runs, np.inf), np.full(runs, np.inf)
    arms = MeanSequences(runs), MeanSequences(runs)
    pairs = MeanSequences(runs)
    squares = np.zeros((2, runs))
    for user in range(1, users + 1):
        taken: list[Floats] = []
        for place, (arm, rate) in enumerate(zip(arms, (_RATE, _RATE + lift), strict=True)):
            shares = rng.binomial(_LISTS, rate, runs) / _LISTS
            arm.update(shares)
            squares[place] += shares**2
            taken.append(shares)
        pairs.update((taken[1] - taken[0] + 1.0) / 2.0)
        low, high = pairs.interval(_ALPHA)
        ours = np.where(np.isinf(ours) & ((low > 0.5) | (high < 0.5)), user, ours)
        if user >= 30:
            means = [arm.mean for arm in arms]
            variance = sum(squares[place] / user - mean**2 for place, mean in enumerate(means))
            seen = np.abs(means[1] - means[0]) > _USUAL * np.sqrt(variance / user)
            usual = np.where(np.isinf(usual) & seen, user, usual)
    return ours, usual


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000)
    parser.add_argument("--users", type=int, default=5_000)
    options = parser.parse_args()
    rng = np.random.default_rng(1)
    print("| hit rates | verdict | after users of a variant, median | by the usual interval |")
    print("|---|---|---|---|")
    for lift in (0.0, 0.02, 0.05, 0.1):
        ours, usual = verdicts(lift, options.runs, options.users, rng)
        found = np.isfinite(ours)
        median = f"{np.median(ours[found]):,.0f}" if found.mean() > 0.5 else "-"
        rates = f"{_RATE:.0%} and {_RATE + lift:.0%}"
        print(f"| {rates} | {found.mean():.1%} | {median} | {np.isfinite(usual).mean():.1%} |")


if __name__ == "__main__":
    main()
