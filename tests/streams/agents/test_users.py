import json
from dataclasses import replace

import pytest

from online_models.churn.settings import AlertSettings
from online_models.churn.trainer import TrainerSettings
from online_models.evaluation.live_lists import LiveLists
from online_models.experiments.outcomes import ExperimentOutcomes
from online_models.experiments.settings import Experiment, ExperimentSettings
from online_models.items.recommender import Recommender
from online_models.winback.context import CONTEXT_NAMES
from online_models.winback.outcomes import OutcomeBatch
from online_models.winback.settings import ActionSettings, WinbackSettings
from streams.agents.broadcast import Broadcast, _Model
from streams.agents.experiments import results
from streams.agents.trainer import TrainerHandler
from streams.agents.users import UsersHandler, UsersTopics
from streams.decode import Decoder
from streams.encode import encode_neighbours
from streams.engine.handler import Record
from streams.errors import SettingsError
from streams.metrics import Metrics
from streams.pseudonyms import Pseudonyms, is_pseudonym
from streams.schemas import ItemNeighbours
from streams.settings import load
from tests.online_models.churn.workload import (
    BOUNDED,
    DAY_MS,
    HOUR_MS,
    SMALL,
    START_MS,
    bandit_of,
    scorer_of,
)
from tests.online_models.winback.test_bandit import outcome_of
from tests.streams.agents.test_items import SETTINGS

NAMES = "events dlq pairs examples rank-examples scores alerts interventions profiles retention lists"
TOPICS = UsersTopics(*NAMES.split())


class Shop:
    """A handler with its log."""

    def __init__(self, settings=SMALL, *, pseudonyms=None, **options):
        self.metrics = Metrics()
        self.handler = UsersHandler(
            replace(settings, **options),
            decoder=Decoder(pseudonyms=pseudonyms),
            recommender=Recommender(),
            list_length=5,
            partition=2,
            partitions=4,
            topics=TOPICS,
            broadcast=Broadcast(
                {"bootstrap.servers": "127.0.0.1:1"},
                "neighbours",
                "models",
                SETTINGS,
                horizon_ms=SMALL.horizon_ms,
            ),
            live=LiveLists(),
            report=self.metrics,
        )
        self.offset = 0

    def record(self, name, user, at_ms=START_MS, *, key=None, **fields):
        self.offset += 1
        event = {"event_id": f"e{self.offset}", "event_name": name, "event_time": at_ms} | fields
        event |= {"anonymous_id": user[2:]} if user.startswith("a:") else {"user_id": user}
        # Nothing lies in the future of a record that was written at the end of time.
        return Record(self.offset, START_MS + 10_000 * DAY_MS, key, json.dumps(event).encode())

    def apply(self, *records):
        return self.handler.apply(records)


def scores_of(outputs):
    return [(o.key, o.value is not None) for o in outputs if o.topic == "scores"]


class TestPseudonyms:
    def test_no_output_no_row_and_no_answer_shows_an_id(self):
        pseudonyms = Pseudonyms("a key of the tests")
        shop = Shop(pseudonyms=pseudonyms)
        shop.handler._broadcast.take_neighbours(
            [(name.encode(), neighbours(name)) for name in ("i1", "i2", "i3")]
        )
        days = [
            shop.record(name, who, START_MS + day * DAY_MS, items=[{"item_id": "i1"}, {"item_id": "i2"}])
            for day in range(0, 40, 5)
            for name in ("view_item", "purchase")
            for who in ("mary-4711", "a:mary-4711", "john-4712")
        ]
        outputs = [*shop.apply(*days), *shop.apply(shop.record("user_erased", "john-4712", key=b"john-4712"))]
        assert {output.topic for output in outputs} >= {"scores", "lists", "pairs", "examples"}
        pieces = [piece for output in outputs if output.topic != "dlq" for piece in output[2:4] if piece]
        pieces += [piece for row in shop.handler.dirty_rows() for piece in row if piece]
        pieces += [json.dumps(shop.handler.lookup(pseudonyms.subject("u:mary-4711")), default=str).encode()]
        assert not [piece for piece in pieces if b"mary" in piece or b"john" in piece]
        assert shop.handler.lookup("u:mary-4711") is None
        assert shop.handler.lookup(pseudonyms.subject("u:john-4712")) is None
        # What was rejected keeps the id that the shop wrote; so it is deleted under it.
        letters = {output.key for output in outputs if output.topic == "dlq"}
        assert letters == {b"john-4712", pseudonyms.subject("u:john-4712")[2:].encode()}

    def test_who_has_another_key_finds_another_name(self):
        one, other = Pseudonyms("a key of the tests"), Pseudonyms("another key of them")
        assert one.subject("u:c") == one.subject("u:c") != other.subject("u:c")
        assert one.subject("u:c")[2:] != one.subject("a:c")[2:]
        assert is_pseudonym(one.subject("u:c")[2:])

    def test_a_short_key_is_refused_without_being_shown(self):
        with pytest.raises(SettingsError, match="at least 16") as caught:
            load(environ={"KEEPSTREAM_PSEUDONYM_KEY": "hunter2"})
        assert "hunter2" not in str(caught.value)


def neighbours(item):
    return encode_neighbours([ItemNeighbours(item, START_MS, 5, 5.0, 5.0, [])])[0][1]


class TestScores:
    def test_an_evicted_user_s_score_is_deleted(self):
        shop = Shop(BOUNDED)
        shop.apply(shop.record("login", "ann"))
        found = scores_of(shop.apply(shop.record("login", "bob", START_MS + 20 * DAY_MS)))
        assert [row for row in found if row[0] == b"u:ann"] == [(b"u:ann", False)]
        assert shop.metrics.value("keepstream_evicted_rows_total", agent="users", reason="idle") == 1

    def test_who_was_never_scored_needs_no_deletion(self):
        shop = Shop(BOUNDED)
        shop.apply(shop.record("login", "a:cookie"))
        assert scores_of(shop.apply(shop.record("login", "a:other", START_MS + 20 * DAY_MS))) == []
        assert shop.metrics.value("keepstream_evicted_rows_total", agent="users", reason="idle") == 1

    @pytest.mark.parametrize("together", [True, False])
    def test_deletion_and_scores_come_in_the_order_of_the_log(self, together):
        """A user who is erased and comes back within one batch has a score afterwards."""
        shop = Shop()
        records = [
            shop.record("login", "ann"),
            shop.record("login", "bob", START_MS + 2 * DAY_MS),
            shop.record("user_erased", "ann", START_MS + 2 * DAY_MS),
            shop.record("login", "ann", START_MS + 2 * DAY_MS + HOUR_MS),
            shop.record("login", "bob", START_MS + 4 * DAY_MS),
        ]
        batches = [records] if together else [[record] for record in records]
        found = [row for batch in batches for row in scores_of(shop.apply(*batch)) if row[0] == b"u:ann"]
        assert found[-1] == (b"u:ann", True)
        assert found.count((b"u:ann", False)) == 1

    def test_a_score_from_before_the_erasure_is_not_published_after_it(self):
        shop = Shop()
        first, later = shop.record("login", "ann"), shop.record("login", "bob", START_MS + 2 * DAY_MS)
        erasure = shop.record("user_erased", "ann", START_MS + 2 * DAY_MS)
        assert [row for row in scores_of(shop.apply(first, later, erasure)) if row[0] == b"u:ann"] == [
            (b"u:ann", False)
        ]


class TestDeadLetters:
    def letters(self, shop, *records):
        return [(o.key, o.value, dict(o.headers)) for o in shop.apply(*records) if o.topic == "dlq"]

    def test_an_erasure_deletes_the_letters_under_the_id_and_under_its_own_key(self):
        shop = Shop()
        found = self.letters(shop, shop.record("user_erased", "ann", key=b"account 7"))
        assert found == [(b"ann", None, {}), (b"account 7", None, {})]

    @pytest.mark.parametrize("key", [b"ann", None, b""])
    def test_without_a_key_of_its_own_there_is_one_tombstone(self, key):
        shop = Shop()
        assert self.letters(shop, shop.record("user_erased", "ann", key=key)) == [(b"ann", None, {})]

    def test_letters_and_tombstones_come_in_the_order_of_the_log(self):
        """What is rejected after the erasure stays."""
        shop = Shop()
        bad = Record(90, START_MS, b"ann", b"{")
        erasure = shop.record("user_erased", "a:ann", key=b"ann")
        found = self.letters(shop, bad, erasure, bad._replace(offset=92), shop.record("login", "bob"))
        assert [(key, value) for key, value, _ in found] == [(b"ann", b"{"), (b"ann", None), (b"ann", b"{")]

    def test_neither_key_nor_value_is_null(self):
        """The topic is compacted: null keys are refused there, and null values delete."""
        shop = Shop()
        [(key, value, headers)] = self.letters(shop, Record(1, START_MS, None, None))
        assert (key, value, headers["error.null"]) == (b"", b"", b"key,value")

    def test_an_eviction_deletes_no_letters(self):
        shop = Shop(BOUNDED)
        shop.apply(shop.record("login", "ann"))
        assert self.letters(shop, shop.record("login", "bob", START_MS + 20 * DAY_MS)) == []


def test_sizes_and_what_was_dropped_early_are_measured():
    shop = Shop(dedupe_max_ids=8)
    for _ in range(20):
        shop.apply(shop.record("login", "ann"))
    held = shop.metrics.value("keepstream_dedupe_ids", partition="2")
    assert 0 < held <= 8
    assert shop.metrics.value("keepstream_dedupe_dropped_ids_total") == 20 - held
    assert shop.metrics.value("keepstream_state_rows", agent="users", partition="2") == 1


class TestWinBack:
    """A decision is told at once, and once more with its outcome, which the trainer gets too."""

    def shop(self):
        shop = Shop(
            alerts=AlertSettings(threshold=0.5, daily_budget=9),
            winback=WinbackSettings((ActionSettings("push"),), holdout=0.0, exploration=1.0),
        )
        shop.handler._broadcast._newest = _Model(None, scorer_of())
        shop.handler._broadcast.bandit = bandit_of(3)
        return shop

    def told(self, outputs):
        return [json.loads(o.value) for o in outputs if o.topic == "interventions"]

    def test_decision_and_outcome_are_documents_of_one_id(self):
        shop = self.shop()
        shop.apply(shop.record("login", "ann"))
        later = shop.record("login", "bob", START_MS + 2 * DAY_MS)
        outputs = shop.apply(later)
        [decision] = self.told(outputs)
        [alert] = [json.loads(o.value) for o in outputs if o.topic == "alerts"]
        assert decision["action"] == alert["action"]
        assert (decision["user_id"], decision["propensity"]) == ("ann", 0.5)
        assert decision["model_version"] == "winback-3"
        assert set(decision["context"]) == set(CONTEXT_NAMES)
        outputs = shop.apply(shop.record("login", "bob", START_MS + 9 * DAY_MS))
        known = next(one for one in self.told(outputs) if one["id"] == decision["id"])
        assert known["outcome"] == {
            "event_time": decision["event_time"] + SMALL.horizon_ms + SMALL.allowed_lateness_ms,
            "returned": False,
            "spend": 0.0,
        }
        batches = [o.value for o in outputs if o.topic == "examples" and OutcomeBatch.packed(o.value)]
        learned = [OutcomeBatch.unpack(value) for value in batches]
        assert decision["action"] in [name for batch in learned for name in batch.action]
        action = decision["action"]
        assert shop.metrics.value("keepstream_interventions_total", action=action) >= 1

    def test_within_one_batch_outcomes_stand_between_the_decisions(self):
        shop = self.shop()
        days = (0, 20, 40, 60)
        outputs = shop.apply(*[shop.record("login", "ann", START_MS + day * DAY_MS) for day in days])
        told = [(one["event_time"], "outcome" in one) for one in self.told(outputs)]
        assert len(told) >= 4
        times = sorted({time for time, _ in told})
        assert told == [(time, known) for time in times for known in (False, True)]

    def test_the_trainer_learns_outcomes_beside_labels_and_publishes_the_bandit(self):
        metrics = Metrics()
        trainer = TrainerHandler(TrainerSettings(), "models", metrics)
        found = [outcome_of(n, ("none", "push")[n % 2], holdout=n % 3 == 0) for n in range(30)]
        outputs = trainer.apply([Record(0, 0, None, OutcomeBatch.of(found).pack())])
        assert [o.key for o in outputs if b"/" not in o.key] == [b"winback"]
        broadcast = Shop().handler._broadcast
        assert broadcast.take_models([(o.key, o.value) for o in outputs]) == []
        assert broadcast.bandit.to_snapshot() == trainer.store.winback.current().to_snapshot()
        assert metrics.value("keepstream_winback_outcomes", action="holdout") == 10
        again = TrainerHandler(TrainerSettings(), "models", metrics)
        again.restore(trainer.dirty_rows())
        again.restored()
        assert again.store.winback.current().to_snapshot() == broadcast.bandit.to_snapshot()


def test_at_the_end_of_a_day_profiles_and_the_board_are_told_and_a_forgotten_one_is_deleted():
    shop = Shop(BOUNDED, daily_look=True)
    shop.apply(shop.record("purchase", "ann", START_MS + HOUR_MS, value=20.0))
    outputs = shop.apply(shop.record("login", "bob", START_MS + DAY_MS + HOUR_MS))
    [profile] = [o for o in outputs if o.topic == "profiles"]
    assert (profile.key, json.loads(profile.value)["stage"]) == (b"u:ann", "new")
    [board] = [o for o in outputs if o.topic == "retention"]
    assert (board.key, json.loads(board.value)["daily"]) == (b"2", 1)
    assert shop.metrics.value("keepstream_active_customers", partition="2", window="day") == 1
    outputs = shop.apply(shop.record("user_erased", "ann", START_MS + DAY_MS + HOUR_MS))
    assert [(o.key, o.value) for o in outputs if o.topic == "profiles"] == [(b"u:ann", None)]


class TestExperiments:
    TRIAL = ExperimentSettings(
        (Experiment.parse("trial/control/plain:ranker=base+category_share=1"),), window_ms=DAY_MS
    )

    def shop(self):
        shop = Shop(experiments=self.TRIAL)
        shop.handler._broadcast.take_neighbours([(f"i{n}".encode(), neighbours(f"i{n}")) for n in range(9)])
        return shop

    def visit(self, shop, day):
        outputs = []
        for number in range(30):
            for item in ("i1", "i2"):
                at = START_MS + day * DAY_MS + number * 1000
                outputs += shop.apply(shop.record("view_item", f"c{number}", at, items=[{"item_id": item}]))
        return outputs

    def test_a_list_says_what_its_user_sees(self):
        lists = [json.loads(o.value) for o in self.visit(self.shop(), 0) if o.topic == "lists"]
        for one in lists:
            variant = self.TRIAL.experiments[0].variant_of(one["subject"]).name
            assert one["variants"] == {"trial": variant}
            assert one["model_version"] == "base-1"
        assert {one["variants"]["trial"] for one in lists} == {"control", "plain"}

    def test_without_experiments_a_list_says_nothing_of_them(self):
        shop = Shop()
        shop.handler._broadcast.take_neighbours([(b"i1", neighbours("i1")), (b"i2", neighbours("i2"))])
        (one,) = [o for o in shop.apply(shop.record("view_item", "c", items=[{"item_id": "i1"}]))
                  if o.topic == "lists"]  # fmt: skip
        assert "variants" not in json.loads(one.value)

    @pytest.mark.parametrize("crash", [False, True])
    def test_what_came_of_it_reaches_every_worker_once(self, crash):
        shop = self.shop()
        outputs = self.visit(shop, 0)
        if crash:
            rows = shop.handler.dirty_rows()
            shop = self.shop()
            shop.handler.restore(rows)
            shop.handler.restored()
            shop.offset = 60
        outputs += self.visit(shop, 2)
        outputs += self.visit(shop, 9)
        told = [o.value for o in outputs if o.topic == "examples" and ExperimentOutcomes.packed(o.value)]
        assert sum(len(ExperimentOutcomes.unpack(value)) for value in told) == 30
        trainer = TrainerHandler(TrainerSettings(), "models", Metrics())
        published = trainer.apply([Record(n, 0, None, value) for n, value in enumerate(told)])
        again = TrainerHandler(TrainerSettings(), "models", Metrics())
        again.restore(trainer.dirty_rows())
        again.restored()
        assert again.store.experiments.state() == trainer.store.experiments.state()
        broadcast = shop.handler._broadcast
        assert broadcast.take_models([(row.key, row.value) for row in published]) == []
        (found,) = results(broadcast.experiments, 0.05).experiments
        assert [variant.name for variant in found.variants] == ["control", "plain"]
        assert sum(variant.users for variant in found.variants) == 30
        assert all(variant.measures["hit_rate"].rate == 1.0 for variant in found.variants)

    def test_an_erased_user_takes_part_no_longer(self):
        shop = self.shop()
        self.visit(shop, 0)
        shop.handler.dirty_rows()
        shop.apply(shop.record("user_erased", "c1", START_MS + HOUR_MS))
        rows = dict(shop.handler.dirty_rows())
        assert rows[b"\0experiments:u:c1"] is None

    def test_the_control_sees_what_everybody_would_see(self):
        trial, plain = self.shop(), Shop()
        plain.handler._broadcast.take_neighbours([(f"i{n}".encode(), neighbours(f"i{n}")) for n in range(9)])
        both = [
            {o.key: json.loads(o.value) for o in self.visit(shop, 0) if o.topic == "lists"}
            for shop in (trial, plain)
        ]
        control = [key for key, one in both[0].items() if one["variants"]["trial"] == "control"]
        assert control
        assert all(both[0][key]["items"] == both[1][key]["items"] for key in control)
