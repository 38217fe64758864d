from streams.cli import erase, run
from streams.erasure import Finding, Sent

NOW = 1_772_360_100_250


def test_an_impossible_id_or_timeout_ends_with_one_line(capsys):
    assert run(["erase", "x" * 200]) == 1
    assert "nobody can be called" in capsys.readouterr().err
    assert run(["erase", "ann", "--timeout", "60"]) == 1
    assert "a duration such as" in capsys.readouterr().err


def test_without_a_broker_nothing_hangs(capsys, monkeypatch):
    monkeypatch.setenv("KEEPSTREAM_BROKER_WAIT", "1s")
    assert run(["erase", "ann", "--bootstrap-servers", "127.0.0.1:1"]) == 1
    assert "no Kafka answered" in capsys.readouterr().err


def test_every_state_is_said_in_words(capsys):
    day = NOW + 86_400_000
    erase._print(
        [
            Finding("changelog", "profile", "gone"),
            Finding("changelog", "labels", "deleted", NOW, day),
            Finding("scores", "score", "deleted"),
            Finding("scores", "score", "replaced", NOW, day, "something new has come since"),
            Finding("events", "events", "leaves", NOW, NOW),
            Finding("lists", "lists", "stays"),
            Finding("letters", "letters", "present"),
        ]
    )
    rows = "older rows go by 2026-03-01 10:15 UTC, the tombstone by 2026-03-02 10:15 UTC"
    assert capsys.readouterr().out.splitlines() == [
        "changelog  profile: gone",
        f"changelog  labels: tombstone written, {rows}",
        "scores  score: tombstone written, no deadline for older rows: nothing compacts this topic",
        f"scores  score: deleted, {rows} (something new has come since)",
        "events  events: leaves by retention, by 2026-03-01 10:15 UTC",
        "lists  lists: stays: no retention is set",
        "letters  letters: STILL THERE",
        "not everything is erased",
    ]


def test_the_document_says_whether_all_is_erased():
    sent = Sent("events", 2, 7, NOW)
    gone, there = Finding("t", "a", "gone"), Finding("t", "b", "present")
    assert "erased" not in erase._document("u:ann", sent, [])
    assert erase._document("u:ann", sent, [gone])["erased"] is True
    assert erase._document("u:ann", sent, [gone, there])["erased"] is False
    assert erase._document("u:ann", sent, [gone])["request"]["offset"] == 7
