"""`keepstream interventions evaluate` on an experiment and on logged decisions, and clear errors."""

import json
import random

import msgspec
import pytest

from streams.cli import run
from streams.schemas import InterventionOutcome
from streams.schemas.documents import SAMPLES


@pytest.fixture
def experiment(tmp_path):
    """A randomised experiment: mails work on those who bought lately, and harm nobody."""
    chance, lines = random.Random(2), ["recency,kind,treatment,visit,spend"]
    for _ in range(3000):
        recency, kind = chance.randrange(12), chance.choice("ab")
        mailed = chance.random() < 0.5
        visit = chance.random() < (0.5 if mailed and recency < 6 else 0.1)
        lines.append(f"{recency},{kind},{'mail' if mailed else 'no'},{int(visit)},0")
    file = tmp_path / "experiment.csv"
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def evaluated(capsys, *arguments):
    assert run(["interventions", "evaluate", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


TABLE = ("--action", "treatment", "--reward", "visit", "--context", "recency", "--context", "kind")


class TestExperiment:
    def test_the_learned_policy_is_ahead_of_doing_nothing_for_sure(self, experiment, capsys):
        found = evaluated(capsys, experiment, *TABLE, "--control", "no")
        assert found["learned"]["ahead"]["low"] > 0.1
        assert found["mail"]["snips"]["value"] == pytest.approx(0.3, abs=0.04)
        assert found["no"]["ahead"]["value"] == 0
        assert found["uniform"]["ahead"]["value"] == pytest.approx(0.1, abs=0.03)

    def test_a_table_for_people(self, experiment, capsys):
        assert run(["interventions", "evaluate", experiment, *TABLE, "--control", "no"]) == 0
        text = capsys.readouterr().out
        assert "3,000 decisions" in text
        assert "ahead" in text

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            (("--reward", "visit"), "say --action, --reward and --context"),
            ((*TABLE, "--context", "colour", "--control", "no"), "has no column 'colour'"),
            ((*TABLE[:3], "kind", *TABLE[4:], "--control", "no"), "column 'kind' must hold numbers"),
            (TABLE, "control must be one of mail, no, got 'none'"),
        ],
    )
    def test_what_is_wrong_is_named(self, experiment, capsys, arguments, said):
        assert run(["interventions", "evaluate", experiment, *arguments]) == 1
        assert said in capsys.readouterr().err


def test_logged_decisions_are_judged_by_their_propensities_once_their_outcome_is_known(tmp_path, capsys):
    chance, lines = random.Random(4), []
    for number in range(800):
        coupon, known = chance.random() < 0.8, number % 10 != 0
        outcome = InterventionOutcome(1, returned=chance.random() < (0.4 if coupon else 0.2), spend=0.0)
        document = msgspec.structs.replace(
            SAMPLES["intervention"],
            id=f"u:{number}@1",
            action="coupon" if coupon else "none",
            propensity=0.8 if coupon else 0.2,
            holdout=number % 7 == 0,
            outcome=outcome if known else None,
        )
        lines += [msgspec.json.encode(document)] * 2  # written again by a replay
    file = tmp_path / "interventions.jsonl"
    file.write_bytes(b"\n".join(lines) + b"\n")
    found = evaluated(capsys, str(file))
    assert found["coupon"]["ips"]["cases"] == sum(1 for n in range(800) if n % 10 and n % 7)
    assert found["coupon"]["snips"]["value"] == pytest.approx(0.4, abs=0.06)
    assert found["none"]["ips"]["low"] < 0.2 < found["none"]["ips"]["high"]
