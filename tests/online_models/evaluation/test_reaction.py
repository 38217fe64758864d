"""Excess log loss after a change: none for who knew, much for who says what was true before."""

import numpy as np
import pytest

from online_models.evaluation.reaction import PERIOD_MS, reaction

CHANGE_MS = 1_600_000_000_000


def world(count=6_000, seed=5):
    """Return labels whose log-odds rise by 1 at the change, and what was true before and is true now."""
    random = np.random.default_rng(seed)
    landmark_ms = np.sort(random.integers(CHANGE_MS - PERIOD_MS, CHANGE_MS + 2 * PERIOD_MS, count))
    odds = random.normal(0, 1, count)
    now = 1 / (1 + np.exp(-odds - (landmark_ms >= CHANGE_MS)))
    before = 1 / (1 + np.exp(-odds))
    return (random.random(count) < now).astype(np.int8), landmark_ms, before, now


def test_what_is_still_said_of_the_old_world_costs_and_what_is_true_does_not():
    label, landmark_ms, before, now = world()
    found = reaction(label, landmark_ms, {"with": now, "without": before}, CHANGE_MS)
    assert sum(found.labels) == len(label)
    assert found.excess["with"] == pytest.approx([0, 0, 0], abs=0.003)
    assert found.excess["without"][0] == found.excess["with"][0]
    assert all(loss > 0.05 for loss in found.excess["without"][1:])


def test_no_rule_is_better_than_hindsight():
    label, landmark_ms, _, _ = world()
    random = np.random.default_rng(1)
    rules = {str(n): random.uniform(0.01, 0.99, len(label)) for n in range(3)}
    found = reaction(label, landmark_ms, rules, CHANGE_MS)
    assert min(min(losses) for losses in found.excess.values()) >= 0


def test_a_period_without_labels_has_no_excess():
    label, landmark_ms = np.array([1, 0], np.int8), np.array([CHANGE_MS - 1, CHANGE_MS + PERIOD_MS])
    found = reaction(label, landmark_ms, {"rule": np.array([0.5, 0.5])}, CHANGE_MS)
    assert found.labels == [1, 0, 1]
    assert np.isnan(found.excess["rule"][1])


def test_nothing_judged_is_nothing_found():
    none = np.zeros(0)
    assert reaction(none.astype(np.int8), none.astype(np.int64), {"rule": none}, CHANGE_MS).labels == [0]
