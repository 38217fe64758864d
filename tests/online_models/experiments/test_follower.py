"""Users in experiments: who takes part, what counts, and that nothing of it is lost or told."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from online_models.errors import CorruptStateError, InvalidParameterError
from online_models.events import hash_id
from online_models.experiments.follower import ROW_PREFIX, ExperimentFollower
from online_models.experiments.settings import Experiment, ExperimentSettings
from online_models.items.policy import PolicySettings
from tests.online_models.churn.workload import START_MS, Event, batch_of

HOUR = 3_600_000
TRIAL = Experiment.parse("trial/control/mmr:diversity=0.3+ranker=base")
SETTINGS = ExperimentSettings((TRIAL,), window_ms=24 * HOUR, lateness_ms=HOUR, max_users=5)


def hashes(*names):
    return np.array([hash_id(name) for name in names], np.uint64)


def follower(**changes):
    return ExperimentFollower(replace(SETTINGS, **changes))


def serve(found, subject="u:1", items="abc", on_screen="x", at=0):
    found.served([subject], [hashes(*items)], [hash_id(on_screen)], START_MS + at)


def see(found, *touches, subject="u:1"):
    """Let a user touch items: (kind, item, time)."""
    batch = batch_of([Event(subject, kind, START_MS + at, (item,)) for kind, item, at in touches])
    found.saw(batch, np.arange(len(batch)))


def measured(found, at=26 * HOUR):
    return [one.measures for one in found.matured(START_MS + at)]


class TestBuckets:
    def test_a_subject_sees_the_same_for_ever_and_other_experiments_draw_anew(self):
        other = replace(TRIAL, name="other")
        subjects = [f"u:{number}" for number in range(2_000)]
        first = [TRIAL.variant_of(subject).name for subject in subjects]
        assert first == [TRIAL.variant_of(subject).name for subject in subjects]
        second = [other.variant_of(subject).name for subject in subjects]
        both = sum(one == two == "mmr" for one, two in zip(first, second, strict=True))
        assert abs(first.count("mmr") - 1_000) < 150
        assert abs(both - 500) < 120

    def test_a_variant_changes_what_it_says_and_nothing_else(self):
        control, mmr = TRIAL.variants
        assert control.applied_to(PolicySettings()) == PolicySettings()
        assert mmr.applied_to(PolicySettings()) == PolicySettings(diversity=0.3)
        assert (control.ranker, mmr.ranker) == (None, "base")

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("alone", "needs 2 to 5 variants, got 0"),
            ("a/b", "needs 2 to 5 variants, got 1"),
            ("a/b/b", "two variants of one name"),
            ("A/b/c", "names of a-z"),
            ("a/b/c:speed=1", "cannot change 'speed=1'"),
            ("a/b/c:ranker=best", "cannot change 'ranker=best'"),
            ("a/b/c:diversity=much", "needs a number"),
            ("a/b/c:diversity=7", "diversity must be 0 to below 1, got 7"),
            ("a/1/2/3/4/5/6", "needs 2 to 5 variants, got 6"),
        ],
    )
    def test_what_is_no_experiment_is_refused(self, text, message):
        with pytest.raises(InvalidParameterError, match=message):
            Experiment.parse(text)

    @pytest.mark.parametrize(
        "wrong", [{"experiments": (TRIAL, TRIAL)}, {"window_ms": 0}, {"lateness_ms": -1}, {"max_users": 0}]
    )
    def test_bad_settings_are_named(self, wrong):
        with pytest.raises(InvalidParameterError):
            ExperimentSettings(**wrong)


class TestOutcomes:
    def test_the_next_other_item_is_a_hit_or_not(self):
        found = follower()
        serve(found)
        see(found, ("view_item", "x", 1), ("view_item", "b", 2), ("view_item", "z", 3))
        serve(found, items="abc", on_screen="z", at=4)
        see(found, ("view_item", "q", 5))
        assert measured(found) == [(0.5, 1.0, 0.0)]

    def test_a_purchase_counts_and_a_listed_item_put_into_the_cart_is_no_click(self):
        found = follower()
        serve(found)
        see(found, ("add_to_cart", "a", 1), ("purchase", "a", 2))
        assert measured(found) == [(1.0, 0.0, 1.0)]

    def test_only_the_window_counts(self):
        found = follower()
        serve(found)
        see(found, ("purchase", "a", -1), ("purchase", "a", 24 * HOUR))
        ((rate, clicked, purchased),) = measured(found)
        assert np.isnan(rate)
        assert (clicked, purchased) == (0.0, 0.0)

    def test_it_is_told_once_after_window_and_lateness_and_never_again(self):
        found = follower()
        serve(found)
        assert found.matured(START_MS + 25 * HOUR - 1) == []
        (one,) = found.matured(START_MS + 25 * HOUR)
        assert (one.experiment, one.variant) == ("trial", TRIAL.variant_of("u:1").name)
        assert (one.began_ms, one.ended_ms) == (START_MS, START_MS + 24 * HOUR)
        serve(found, at=30 * HOUR)
        assert found.matured(START_MS + 1_000 * HOUR) == []

    def test_there_are_no_more_users_than_there_may_be(self):
        found = follower(max_users=2)
        for number in range(4):
            serve(found, f"u:{number}")
        assert (len(found), found.unfollowed) == (2, 2)
        assert found.nbytes > 0

    def test_without_experiments_nothing_is_kept(self):
        found = follower(experiments=())
        serve(found)
        assert (len(found), found.dirty_rows()) == (0, [])

    def test_whoever_is_forgotten_leaves_a_tombstone_and_begins_anew(self):
        found = follower()
        serve(found)
        found.dirty_rows()
        found.forget("u:1")
        assert found.dirty_rows() == [(ROW_PREFIX + b"u:1", None)]
        serve(found, at=5 * HOUR)
        assert found.matured(START_MS + 25 * HOUR) == []
        assert len(found.matured(START_MS + 30 * HOUR)) == 1


steps = st.lists(
    st.tuples(
        st.sampled_from(["serve", "view_item", "purchase", "select_item", "forget"]),
        st.sampled_from(["u:1", "u:2", "a:3"]),
        st.sampled_from("abcxyz"),
        st.integers(0, 3 * HOUR),
    ),
    max_size=40,
)


def play(found, log, restart_every=None):
    """Return outcomes and rows of a log, now and then gone on with by a process that has the rows only."""
    rows, outcomes, now = {}, [], 0
    for number, (what, subject, item, passes) in enumerate(log):
        now += passes
        if what == "serve":
            serve(found, subject, [item, "a"], "x", now)
        elif what == "forget":
            found.forget(subject)
        else:
            see(found, (what, item, now), subject=subject)
        outcomes += found.matured(START_MS + now)
        if restart_every and number % restart_every == 0:
            rows |= dict(found.dirty_rows())
            found = follower()
            found.restore(rows.items())
            found.restored()
    rows |= dict(found.dirty_rows())
    return [str(one) for one in outcomes], {key: value for key, value in rows.items() if value is not None}


@given(steps, st.sampled_from([1, 7]))
@settings(max_examples=60, deadline=None)
def test_a_process_that_has_only_the_rows_goes_on_as_if_nothing_had_been(log, every):
    assert play(follower(), log, every) == play(follower(), log)


@given(steps)
@settings(max_examples=40, deadline=None)
def test_touches_count_the_same_in_whatever_batches_they_come(log):
    found = []
    for size in (1, 7, 100):
        one = follower()
        for subject in ("u:1", "u:2", "a:3"):
            serve(one, subject)
        touches = [step for step in log if step[0] not in ("serve", "forget")]
        events = [Event(who, what, START_MS + n, (item,)) for n, (what, who, item, _) in enumerate(touches)]
        for begin in range(0, len(events), size):
            batch = batch_of(events[begin : begin + size], begin)
            one.saw(batch, np.arange(len(batch)))
        found.append([str(outcome) for outcome in one.matured(START_MS + 26 * HOUR)])
    assert found[0] == found[1] == found[2]


class TestRestore:
    def rows(self):
        found = follower()
        serve(found)
        return found.dirty_rows()

    def test_experiments_that_are_no_more_leave_nothing(self):
        found = ExperimentFollower(replace(SETTINGS, experiments=(replace(TRIAL, name="new"),)))
        found.restore(self.rows())
        found.restored()
        assert len(found) == 0
        assert found.dirty_rows() == [(ROW_PREFIX + b"u:1", None)]

    @pytest.mark.parametrize("value", [b"", b"x", b"\x93\x01"])
    def test_what_is_no_row_is_refused_by_its_key(self, value):
        with pytest.raises(CorruptStateError, match="u:1"):
            follower().restore([(ROW_PREFIX + b"u:1", value)])
