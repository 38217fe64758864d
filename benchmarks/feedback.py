"""What a ranker learns that makes the lists from whose touches it learns: with the guard and without.

A shop in which the truth is known: how much people like an item is a feature, and a second feature, which
they do not care about, is promoted by the shop's rules. The lists are made by the network that learns from
them; an item at a place of a list is touched ``1 + lift * examination(place)`` times as often as it would be
without, which the guard does not know but assumes.

    python -m benchmarks.feedback
"""

from typing import Final, NamedTuple

import numpy as np

from online_models.events import Floats
from online_models.items.features import RANK_FEATURES
from online_models.items.network import RankNetwork
from online_models.items.pairs import Floats32
from online_models.items.propensity import examination, weight

_LIKED: Final = RANK_FEATURES.index("forward_last")
_PROMOTED: Final = RANK_FEATURES.index("price_gap")
_CANDIDATES: Final = 30
_LISTED: Final = 10
_PROMOTION: Final = 1.0
_TRIED: Final = 400


class Learned(NamedTuple):
    """What a network came to.

    Parameters
    ----------
    agreement
        Kendall's tau of its order and that in which people like the candidates, mean over fresh sets.
    promoted
        What the promoted feature adds to its scores, over what the liked one adds; 0 is the truth.
    """

    agreement: float
    promoted: float


def learn(lift: float, assumed: float, sets: int = 4_000, seed: int = 1) -> Learned:
    """Let a network learn from touches of its own lists.

    Parameters
    ----------
    lift
        How many times as often, on top, an item is touched because it stands first.
    assumed
        What the guard takes this for; 0 is no guard.
    sets
        Touches.
    seed
        Of what is drawn.
    """
    rng = np.random.default_rng(seed)
    network = RankNetwork()
    drawn = np.zeros(_CANDIDATES)
    drawn[:_LISTED] = [examination(place) for place in range(1, _LISTED + 1)]
    for _ in range(sets):
        features = _candidates(rng)
        listed = network.score_many(features) + _PROMOTION * features[:, _PROMOTED]
        order = np.argsort(-listed, kind="stable")
        odds = np.exp(features[order, _LIKED].astype(np.float64)) * (1.0 + lift * drawn)
        place = int(rng.choice(_CANDIDATES, p=odds / odds.sum())) + 1
        shown_at = place if place <= _LISTED else 0
        network.learn_one(features, int(order[place - 1]), weight(shown_at, assumed))
    return _judged(network, rng)


def _candidates(rng: np.random.Generator) -> Floats32:
    features = np.zeros((_CANDIDATES, len(RANK_FEATURES)), np.float32)
    features[:, _LIKED] = rng.normal(0.0, 1.0, _CANDIDATES)
    features[:, _PROMOTED] = rng.random(_CANDIDATES) < 1 / 3
    return features


def _judged(network: RankNetwork, rng: np.random.Generator) -> Learned:
    found = np.zeros((_TRIED, 2))
    for turn in range(_TRIED):
        features = _candidates(rng)
        scores = network.score_many(features)
        found[turn] = _tau(scores, features[:, _LIKED]), _added(network, features, _PROMOTED)
    liked = np.mean([_added(network, _candidates(rng), _LIKED) for _ in range(_TRIED)])
    return Learned(float(found[:, 0].mean()), float(found[:, 1].mean() / liked))


def _added(network: RankNetwork, features: Floats32, name: int) -> float:
    """Return what one more of a feature adds to the scores, mean."""
    without, more = features.copy(), features.copy()
    without[:, name], more[:, name] = 0.0, 1.0
    return float((network.score_many(more) - network.score_many(without)).mean())


def _tau(scores: Floats, liked: Floats32) -> float:
    above = np.triu_indices(scores.size, 1)
    agree = np.sign(scores[above[0]] - scores[above[1]]) * np.sign(liked[above[0]] - liked[above[1]])
    return float(agree.mean())


def main() -> None:
    """Print what is learned for several true lifts, by what the guard assumes."""
    print("| true lift | assumed | agreement with what is liked | weight of what is promoted |")
    print("|---|---|---|---|")
    for lift in (0.0, 1.0, 3.0):
        for assumed in (0.0, 1.0, 3.0):
            runs = [learn(lift, assumed, seed=seed) for seed in range(1, 6)]
            agreement, promoted = np.mean(runs, axis=0)
            print(f"| {lift:g} | {assumed:g} | {agreement:.3f} | {promoted:+.2f} |")


if __name__ == "__main__":
    main()
