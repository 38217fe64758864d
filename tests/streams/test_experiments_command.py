"""What `keepstream experiments` prints."""

import io

import msgspec
from rich.console import Console

from online_models.experiments.book import ExperimentBook
from online_models.experiments.outcomes import ExperimentOutcomes, UserOutcome
from streams.agents.experiments import results
from streams.cli.experiments import show


def printed(*outcomes):
    book = ExperimentBook()
    book.apply(ExperimentOutcomes.of(outcomes))
    console = Console(file=io.StringIO(), width=140, highlight=False)
    show(msgspec.to_builtins(results(book, 0.05)), console)
    return console.file.getvalue()


def users(variant, count, *measures):
    return [UserOutcome("spread", variant, variant == "control", 0, 86_400_000, measures)] * count


def test_every_variant_has_a_rate_and_all_but_the_control_an_interval():
    text = printed(
        *(
            one
            for pair in zip(
                users("control", 300, 0.0, 0.0, 0.5), users("mmr", 300, 1.0, 1.0, 0.5), strict=True
            )
            for one in pair
        )
    )
    lines = [line.split() for line in text.splitlines()]
    assert ["control", "hit_rate", "300", "0.00%", "control"] in lines
    (better,) = [line for line in lines if line[:2] == ["mmr", "hit_rate"]]
    assert (better[2:5], better[-1]) == (["300", "100.00%", "+100.00%"], "better")
    (same,) = [line for line in lines if line[:1] == ["purchased"] and line[-1] == "open"]
    assert same[3] == "+0.00%"
    assert "windows from 1970-01-01 00:00:00 to 1970-01-02 00:00:00 UTC" in text


def test_what_nobody_has_is_a_dash_and_uneven_shares_are_told():
    nothing = float("nan")
    text = printed(*users("control", 900, nothing, 0.0, 0.0), *users("mmr", 100, nothing, 0.0, 0.0))
    assert [line.split() for line in text.splitlines() if "hit_rate" in line] == [
        ["control", "hit_rate", "0", "-", "control"],
        ["mmr", "hit_rate", "0", "-", "-"],
    ]
    assert "unevenly" in text
