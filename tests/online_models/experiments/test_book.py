"""What can be said of the difference between variants, and when."""

import numpy as np
import pytest

from online_models.errors import CorruptStateError
from online_models.experiments.book import MAX_ARMS, STATE_ROW, ExperimentBook
from online_models.experiments.outcomes import ExperimentOutcomes, UserOutcome

DAY = 86_400_000


def outcome(variant, *measures, experiment="e", day=0):
    began = day * DAY
    return UserOutcome(experiment, variant, variant == "control", began, began + 7 * DAY, measures)


def drawn(rng, rates, count):
    """Return outcomes of users whose variants have these hit rates."""
    found = []
    for _ in range(count):
        variant = str(rng.choice(list(rates)))
        hits = rng.binomial(4, rates[variant]) / 4
        found.append(outcome(variant, hits, float(hits > 0), float("nan")))
    return found


def verdicts(book, measure="hit_rate"):
    (found,) = book.report()
    return {variant.name: variant.measures[measure].verdict for variant in found.variants}


def test_where_there_is_no_difference_hardly_anybody_who_keeps_looking_sees_one():
    rng, wrong = np.random.default_rng(11), 0
    for _ in range(40):
        book = ExperimentBook()
        for one in drawn(rng, {"control": 0.3, "b": 0.3, "c": 0.3}, 300):
            book.apply(ExperimentOutcomes.of([one]))
            if book.outcomes % 20 == 0 and set(verdicts(book).values()) != {"open"}:
                wrong += 1
                break
    assert wrong <= 2


def test_a_difference_is_found_with_its_sign_and_size():
    book = ExperimentBook()
    rates = {"control": 0.3, "better": 0.5, "worse": 0.1}
    book.apply(ExperimentOutcomes.of(drawn(np.random.default_rng(1), rates, 3_000)))
    assert verdicts(book) == {"control": "open", "better": "better", "worse": "worse"}
    (found,) = book.report()
    assert [variant.name for variant in found.variants] == ["control", "better", "worse"]
    better = found.variants[1].measures["hit_rate"]
    assert better.difference_low < 0.2 < better.difference_high
    assert better.difference == pytest.approx(0.2, abs=0.05)
    unknown = found.variants[1].measures["purchased"]
    assert (unknown.users, unknown.verdict) == (0, "open")
    assert np.isnan(unknown.rate)
    assert not found.uneven


def test_shares_that_chance_does_not_explain_are_told():
    book = ExperimentBook()
    book.apply(ExperimentOutcomes.of([outcome("control", 0, 0, 0)] * 600 + [outcome("b", 0, 0, 0)] * 400))
    assert book.report()[0].uneven


@pytest.mark.parametrize("size", [1, 7, 400])
def test_batches_do_not_matter_and_it_goes_on_bit_for_bit(size):
    outcomes = drawn(np.random.default_rng(3), {"control": 0.3, "b": 0.4}, 400)
    whole, cut, log = ExperimentBook(), ExperimentBook(), []
    for one in outcomes:
        whole.apply(ExperimentOutcomes.of([one]))
    for begin in range(0, 400, size):
        packed = ExperimentOutcomes.of(outcomes[begin : begin + size]).pack()
        assert ExperimentOutcomes.packed(packed)
        cut.apply(ExperimentOutcomes.unpack(packed))
        log = cut.dirty_rows()
        assert cut.dirty_rows() == []
        cut = ExperimentBook.restore(log[0][1])
    assert [key for key, _ in log] == [STATE_ROW]
    assert cut.state() == whole.state()


def test_it_is_published_at_fixed_numbers_of_outcomes():
    one = ExperimentOutcomes.of([outcome("control", 0, 0, 0)])
    book = ExperimentBook()
    due = [number for number in range(1, 400) if book.apply(one)]
    assert due[:3] == [1, 2, 3]
    assert due[-1] - due[-2] > 5
    assert book.version == len(due)


def test_old_experiments_make_room_for_new_ones():
    book = ExperimentBook()
    for number in range(MAX_ARMS + 10):
        for variant in ("control", "b"):
            book.apply(
                ExperimentOutcomes.of([outcome(variant, 0, 0, 0, experiment=f"e{number}", day=number)])
            )
    names = [one.name for one in book.report()]
    assert (names[0], len(names)) == (f"e{MAX_ARMS + 9}", MAX_ARMS // 2)


def test_an_experiment_whose_variants_keep_changing_forgets_its_oldest():
    book = ExperimentBook()
    for number in range(MAX_ARMS + 3):
        book.apply(ExperimentOutcomes.of([outcome(f"v{number}", 0, 0, 0, day=number)]))
    (report,) = book.report()
    assert {one.name for one in report.variants} == {f"v{number}" for number in range(3, MAX_ARMS + 3)}


def test_what_is_no_book_is_refused():
    book = ExperimentBook()
    book.apply(ExperimentOutcomes.of([outcome("control", 0, 0, 0)]))
    for broken in (book.state() | {"measures": ["else"]}, book.state() | {"arms": [["e"]]}, {}):
        with pytest.raises(CorruptStateError):
            ExperimentBook.from_state(broken)
    packed = ExperimentOutcomes.of([outcome("control", 0, 0, 0)])
    with pytest.raises(CorruptStateError):
        ExperimentOutcomes.unpack(
            ExperimentOutcomes(["e", "f"], *(getattr(packed, name) for name in packed.__slots__[1:])).pack()
        )
