"""Holds what a run left behind against the truth, against itself replayed, and against an undisturbed run."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from online_models.winback.learner import WinbackLearner
from streams import topics
from streams.settings import Settings
from tests.chaos.events import Truth
from tests.chaos.outcome import (
    Document,
    Outcome,
    Place,
    example_counts,
    pair_rows,
    rank_touches,
    touch_rows,
)
from tests.chaos.replay import (
    deviation,
    event_counts,
    replayed_items,
    replayed_ranker,
    replayed_trainer,
    restored_items,
    restored_trainer,
)

SUM_TOLERANCE = 1e-5
"""Relative; of decayed single-precision sums whose terms came in another order. Counts are exact."""

WEIGHT_TOLERANCE = 1e-9
"""Absolute; of the models' weights against a fresh trainer that replays the examples."""


class Verdict(NamedTuple):
    """What was compared, whether it held, and the figures."""

    what: str
    holds: bool
    figures: str

    def __str__(self) -> str:
        return f"{'ok  ' if self.holds else 'DIFF'}  {self.what}: {self.figures}"


def judge(outcome: Outcome, truth: Truth, settings: Settings) -> Iterator[Verdict]:
    """Yield how a run compares with what must come of its log, and with its own logs replayed."""
    yield from _against_the_truth(outcome, truth, settings)
    yield from _against_replays(outcome, settings)
    yield from _once_and_in_order(outcome)
    yield from _positions(outcome)


def compare(undisturbed: Outcome, disturbed: Outcome, settings: Settings) -> Iterator[Verdict]:
    """Yield how two runs over the same log compare."""
    records = sum(map(len, undisturbed.events.values()))
    yield _same("event log", undisturbed.events, disturbed.events, f"{records:,} records")
    yield _same_rows("user rows, bit for bit", undisturbed.users, disturbed.users)
    one, other = (restored_items(run, settings) for run in (undisturbed, disturbed))
    unequal, largest = deviation(one, other)
    yield Verdict(
        "item rows: counts exact, decayed sums within 1e-5",
        not unequal and largest <= SUM_TOLERANCE,
        f"{sum(map(len, one.values())):,} items, largest deviation {largest:.1e}{_first(unequal)}",
    )
    for what, rows in (("touches passed on", touch_rows), ("item pairs passed on", pair_rows)):
        each = [rows(run.pairs) for run in (undisturbed, disturbed)]
        yield Verdict(what, np.array_equal(*each), f"{len(each[0]):,} and {len(each[1]):,}")
    examples = [example_counts(run.examples) for run in (undisturbed, disturbed)]
    yield _same("training examples, bit for bit", *examples, f"{examples[0].total():,}")
    # Candidates may be a moment apart, so in another order: those of a batch are weighed at its latest touch.
    touched = [rank_touches(run.rank_examples) for run in (undisturbed, disturbed)]
    yield _same("touches that the ranker learns from", *touched, f"{touched[0].total():,}")
    for name in (
        topics.ALERTS.name,
        topics.INTERVENTIONS.name,
        topics.RETENTION.name,
        topics.DEAD_LETTERS.name,
    ):
        every = [{(d.key, d.id): d.content for d in run.documents[name]} for run in (undisturbed, disturbed)]
        yield _same(f"{name}: every one", *every, f"{len(every[0]):,}")
    # Of a batch's scores, profiles and lists the last one of a user is published, wherever batches were cut;
    # none of a user who is erased in the same batch, and a tombstone where an earlier one was.
    for name in (topics.SCORES.name, topics.PROFILES.name, topics.RECOMMENDATIONS.name):
        newest = [
            {d.key: (d.id, d.content) for d in run.documents[name] if d.key not in run.erased[name]}
            for run in (undisturbed, disturbed)
        ]
        yield _same(f"{name}: newest of every user", *newest, f"{len(newest[0]):,}")


def same_readings(outcome: Outcome, seen: Mapping[str, Sequence[Place]], reader: str) -> Iterator[Verdict]:
    """Yield whether another reader saw the same records in the same order."""
    for topic, places in seen.items():
        by_partition = [_by_partition(found) for found in (outcome.places[topic], places)]
        yield _same(f"{topic} as {reader} saw it", *by_partition, f"{len(places):,} records")


def _against_the_truth(outcome: Outcome, truth: Truth, settings: Settings) -> Iterator[Verdict]:
    counts = event_counts(outcome, settings)
    wanted = {subject: {k: v for k, v in found.items() if v} for subject, found in truth.event_counts.items()}
    # Erased users who did not come back may have left nothing.
    counts = {subject: found for subject, found in counts.items() if found}
    total = sum(sum(found.values()) for found in counts.values())
    yield _same("event counts of every user", wanted, counts, f"{total:,} events of {len(counts):,} users")
    touches: dict[str, int] = {}
    for store in restored_items(outcome, settings).values():
        for row in store.rows[: store.size]:
            if row["touches"]:
                touches[store.name_of(int(row["hash"]))] = int(row["touches"])
    yield _same("touches of every item", dict(truth.touches), touches, f"{sum(touches.values()):,} touches")
    reasons = Counter(letter.content for letter in outcome.documents[topics.DEAD_LETTERS.name])
    figures = f"{reasons.total():,} for {len(reasons)} reasons"
    yield _same("dead letters by reason", dict(truth.rejected), dict(reasons), figures)
    judged = truth.accepted + truth.duplicates + sum(truth.rejected.values())
    records = sum(map(len, outcome.events.values()))
    yield _same(
        "records of the log", judged, records, f"{records:,}, {truth.duplicates:,} of them duplicates"
    )


def _against_replays(outcome: Outcome, settings: Settings) -> Iterator[Verdict]:
    items = replayed_items(outcome, settings)
    yield _same_rows("item rows as a replay of the pairs gives them, bit for bit", items, outcome.items)
    trainer, scorers = replayed_trainer(outcome, settings)
    restored = restored_trainer(outcome, settings)
    models = [store.current() for store in (trainer, restored)]
    apart = max(
        float(np.abs(models[0].weights - models[1].weights).max(initial=0)),
        float(np.abs(models[0].center - models[1].center).max(initial=0)),
        abs(models[0].bias - models[1].bias),
    )
    yield Verdict(
        "weights of the models as a replay of the examples gives them, within 1e-9",
        apart <= WEIGHT_TOLERANCE and models[0].card == models[1].card and models[0].ready,
        f"{int(models[0].card['churn_labels']):,} labels learned, largest deviation {apart:.1e}",
    )
    bandits = [trainer.winback, restored.winback]
    yield Verdict(
        "the bandit as a replay of the outcomes gives it, bit for bit",
        _is_same_bandit(*bandits) and len(outcome.outcomes) > 0,
        f"{int(bandits[0].card()['outcomes']):,} outcomes",
    )
    ranker = replayed_ranker(outcome)
    held = outcome.ranker.get(0, {})
    figures = f"{sum(map(len, outcome.rank_examples)):,} sets, {sum(map(len, held.values())):,} bytes"
    yield _same("the ranker as a replay of its examples gives it, bit for bit", ranker.rows, held, figures)
    newest = {"churn": trainer.version, "winback": trainer.winback.version, "ranker": ranker.versions}
    versions: dict[str, list[int]] = {}
    for document in outcome.documents[topics.MODELS.name]:
        versions.setdefault(document.id.rpartition("-")[0], []).append(document.order)
    yield Verdict(
        "published models are versions of those replays",
        versions.keys() == {model for model, version in newest.items() if version}
        and set(versions.get("churn", ())) <= scorers.keys()
        and all(found[-1] == newest[model] for model, found in versions.items()),
        ", ".join(f"{len(found)} of {newest.get(model)} {model}" for model, found in versions.items()),
    )


def _once_and_in_order(outcome: Outcome) -> Iterator[Verdict]:
    for topic, documents in outcome.documents.items():
        repeated = [id_ for id_, count in Counter(d.id for d in documents).items() if count > 1]
        if topic != topics.NEIGHBOURS.name:  # rows have no ids, and may be said again
            yield Verdict(
                f"{topic}: every id once", bool(documents) and not repeated, _of(documents, repeated)
            )
        newest: dict[bytes, int] = {}
        disordered = []
        for document in documents:
            if document.order < newest.get(document.key, -1):
                disordered.append(document.id)
            newest[document.key] = document.order
        yield Verdict(f"{topic}: in order per key", not disordered, _of(documents, disordered))


def _positions(outcome: Outcome) -> Iterator[Verdict]:
    name = topics.EVENTS.name
    wanted = {(name, number): len(records) for number, records in outcome.events.items()}
    found = {place: at for place, at in outcome.positions.items() if place[0] == name}
    yield _same("positions stand at the ends of the log", wanted, found, f"{len(found)} partitions")
    figures = f"{len(outcome.positions)} partitions"
    yield _same("committed offsets are the positions", outcome.positions, outcome.committed, figures)


def _is_same_bandit(one: WinbackLearner, other: WinbackLearner) -> bool:
    return one.current().to_snapshot() == other.current().to_snapshot()


def _by_partition(places: Iterable[Place]) -> dict[int, list[Place]]:
    found: dict[int, list[Place]] = {}
    for place in places:
        found.setdefault(place.partition, []).append(place)
    return found


def _same(what: str, one: Any, other: Any, figures: str) -> Verdict:
    return Verdict(what, one == other, figures if one == other else f"{figures}; {_difference(one, other)}")


def _same_rows(what: str, one: Mapping[int, Mapping[bytes, bytes]], other: Any) -> Verdict:
    rows = sum(map(len, one.values()))
    flat = [{(p, k): v for p, rows in run.items() for k, v in rows.items()} for run in (one, other)]
    return _same(what, *flat, f"{rows:,} rows")


def _difference(one: Any, other: Any) -> str:
    """Say in a line where two things differ."""
    if isinstance(one, dict) and isinstance(other, dict):
        differing = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
        described = [f"{key!r}: {_short(one.get(key))} and {_short(other.get(key))}" for key in differing[:5]]
        return f"{len(differing):,} differ, {'; '.join(described)}"
    return f"{_short(one)} and {_short(other)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}... ({len(text)} characters)"


def _of(documents: Sequence[Document], wrong: Sequence[str]) -> str:
    return f"{len(documents):,}{_first(wrong)}"


def _first(wrong: Sequence[str]) -> str:
    return f"; {len(wrong):,} wrong, such as {wrong[:5]}" if wrong else ""
