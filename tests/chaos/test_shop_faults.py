"""State survives anything: a shop's log processed under faults leaves what an undisturbed run leaves.

`make chaos` does the same with 300 faults. What is compared: every row of every store, every training example
and every weight, every touch and pair, every output, and what three readers saw of them.
"""

import copy
from collections.abc import Callable

import pytest

from streams import topics
from tests.chaos.compare import compare, judge
from tests.chaos.events import ShopLog
from tests.chaos.faults import SHARES, plan
from tests.chaos.outcome import Document, Outcome
from tests.chaos.proof import Proof, on_embedded_broker, on_kafka, prove
from tests.chaos.shop import settings_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.mark.kafka
def test_every_kind_of_fault_leaves_what_an_undisturbed_run_leaves(kafka_or_skip, tmp_path):
    log = ShopLog(14_000, partitions=4, seed=21)
    with on_kafka(tmp_path) as stage:
        proof = prove(stage, plan(14, len(log), seed=21), log, tmp_path, print)
    assert proof.holds, proof.summary()
    assert proof.struck.total() == 14
    # Whether a worker is added or removed depends on how many there are.
    assert proof.struck.keys() | {"add", "remove"} == set(SHARES)


LOG = ShopLog(9_000, partitions=4, seed=22)


@pytest.fixture(scope="module")
def proof(tmp_path_factory) -> Proof:
    """Return what came of one worker on the embedded broker."""
    directory = tmp_path_factory.mktemp("embedded")
    with on_embedded_broker(directory) as stage:
        return prove(stage, plan(5, len(LOG), 22, ["kill", "term"]), LOG, directory, print)


class TestOneWorkerOnTheEmbeddedBroker:
    def test_kills_and_stops_leave_what_an_undisturbed_run_leaves(self, proof):
        assert proof.holds, proof.summary()
        assert proof.struck.total() == 5

    @pytest.mark.parametrize(
        ("harm", "noticed"),
        [
            (lambda o: o.users[0].popitem(), "user rows"),
            (lambda o: flip(o.users[1], b"u:"), "user rows"),
            (lambda o: o.items[0].popitem(), "item rows as a replay"),
            (lambda o: o.pairs[2].append(o.pairs[2][0]), "item pairs passed on"),
            (lambda o: o.pairs[2].append(o.pairs[2][0]), "item rows as a replay"),
            (lambda o: o.sent_ms[2].reverse(), "item rows as a replay"),
            (lambda o: o.examples.pop(), "training examples"),
            (lambda o: o.examples.reverse(), "weights of the models"),
            (lambda o: lists(o).append(lists(o)[0]), "recommendations.v1: every id once"),
            (lambda o: alerts(o).reverse(), "churn.alerts.v1: in order per key"),
            (lambda o: alerts(o).pop(), "churn.alerts.v1: every one"),
            (lambda o: dead_letters(o).pop(), "dead letters by reason"),
            (lambda o: o.events[3].pop(), "event log"),
            (lambda o: o.positions.update({(topics.EVENTS.name, 0): 1}), "positions stand"),
        ],
    )
    def test_a_single_wrong_row_would_be_noticed(
        self, proof, harm: Callable[[Outcome], object], noticed: str, tmp_path
    ):
        undisturbed, disturbed = proof.outcomes
        settings = settings_of("any", "", tmp_path)
        harmed = copy.deepcopy(disturbed)
        harm(harmed)
        verdicts = [*judge(harmed, LOG.truth, settings), *compare(undisturbed, harmed, settings)]
        assert any(noticed in verdict.what for verdict in verdicts if not verdict.holds)


def lists(outcome: Outcome) -> list[Document]:
    return outcome.documents[topics.RECOMMENDATIONS.name]


def alerts(outcome: Outcome) -> list[Document]:
    return outcome.documents[topics.ALERTS.name]


def dead_letters(outcome: Outcome) -> list[Document]:
    return outcome.documents[topics.DEAD_LETTERS.name]


def flip(rows: dict[bytes, bytes], prefix: bytes) -> None:
    """Change the last bit of a row."""
    key = next(key for key in rows if key.startswith(prefix))
    rows[key] = rows[key][:-1] + bytes([rows[key][-1] ^ 1])
