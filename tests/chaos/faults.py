"""Which faults strike, when and whom: drawn from a seed beforehand, so that a run can be repeated."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

SHARES = {
    "kill": 0.52,
    "broker": 0.08,
    "freeze": 0.06,
    "term": 0.06,
    "add": 0.04,
    "remove": 0.03,
    "split": 0.05,
    "lost answers": 0.05,
    "slow": 0.03,
    "cut": 0.03,
    "refused": 0.03,
    "disk": 0.02,
}
"""Kinds of fault and how often each of them strikes.

kill
    SIGKILL of a worker; it is started again at once, or only after others have taken over.
broker
    SIGKILL of the broker, which is started again.
freeze
    SIGSTOP of a worker beyond its session; it wakes up as a zombie.
term
    SIGTERM of a worker, and a new start.
add, remove
    One worker more, one less.
split
    Nothing passes between a worker and the broker for longer than its session; then all of it arrives.
lost answers
    The broker carries out what a worker asks, and the answer never arrives: a commit of unknown outcome.
slow, cut
    Everything between a worker and the broker arrives late; connections end and none is taken.
refused
    No record of a worker reaches the broker for a while, though everything else does.
disk
    The broker cannot write on, in the middle of a record: it ends, and starts again when there is room.
"""

MIN_WORKERS, MAX_WORKERS = 2, 4


@dataclass(frozen=True)
class Fault:
    """One fault.

    Parameters
    ----------
    number
        Its place in the run, from 1.
    kind
        A key of `SHARES`.
    at
        It strikes once so many records are applied,
    patience_s
        or after so long since the last one.
    whom
        0 to 1: which of the workers that run then.
    strength
        0 to 1: how long, how slow, how many, within what the kind allows.
    delay_s
        What was killed is started again after so long.
    """

    number: int
    kind: str
    at: int
    patience_s: float
    whom: float
    strength: float
    delay_s: float

    def between(self, low: float, high: float) -> float:
        """Return its strength on a scale."""
        return low + self.strength * (high - low)

    def pick(self, names: Sequence[str]) -> str:
        """Return the one it strikes."""
        return sorted(names)[int(self.whom * len(names))]


def plan(count: int, records: int, seed: int, kinds: Sequence[str] | None = None) -> list[Fault]:
    """Draw faults over a log of so many records, in the order of `at`.

    Parameters
    ----------
    count
        How many.
    records
        Of the log.
    seed
        Equal seeds give equal faults.
    kinds
        Which kinds, each at least once where there are enough faults; None takes all.
    """
    rng = random.Random(seed)
    chosen = _kinds(count, kinds or list(SHARES))
    rng.shuffle(chosen)
    # From the first moments on, and with some room after the last.
    moments = sorted(rng.uniform(0.01, 0.97) for _ in chosen)
    return [
        Fault(
            number=number,
            kind=kind,
            at=int(moment * records),
            # Now and then one strikes into the trouble that the last one made.
            patience_s=rng.uniform(0.2, 3) if rng.random() < 0.25 else 20.0,
            whom=rng.random(),
            strength=rng.random(),
            delay_s=0.0 if rng.random() < 0.7 else rng.uniform(0.5, 9),
        )
        for number, (kind, moment) in enumerate(zip(chosen, moments, strict=True), 1)
    ]


def _kinds(count: int, kinds: Sequence[str]) -> list[str]:
    """Share faults out to kinds: one to each, the rest by their shares, largest remainders first."""
    total = sum(SHARES[kind] for kind in kinds)
    exact = {kind: count * SHARES[kind] / total for kind in kinds}
    given = {kind: max(int(exact[kind]), 1) for kind in kinds}
    behind = sorted(kinds, key=lambda kind: given[kind] - exact[kind])
    while sum(given.values()) < count:
        given[behind[0]] += 1
        behind.append(behind.pop(0))
    while sum(given.values()) > count:
        given[max(given, key=lambda kind: (given[kind], -SHARES[kind]))] -= 1
    return [kind for kind in kinds for _ in range(given[kind])]
