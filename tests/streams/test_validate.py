"""`keepstream validate`: verdict, counts, line numbers, exit codes."""

import gzip
import io
import json

import pytest
import zstandard

from online_models.admission import Admission
from streams.cli import run
from streams.decode import Decoder
from streams.validation import Validator
from tests.streams.event_corpus import NOW_MS, event

HOUR_MS = 3_600_000


def lines(*documents):
    return b"".join(
        (one if isinstance(one, bytes) else json.dumps(one).encode()) + b"\n" for one in documents
    )


def file(tmp_path, *documents):
    path = tmp_path / "events.jsonl"
    path.write_bytes(lines(*documents))
    return str(path)


def findings(capsys, *arguments):
    code = run(["validate", "--json", *arguments])
    return code, json.loads(capsys.readouterr().out)


class TestVerdict:
    def test_a_file_of_good_events_passes(self, tmp_path, capsys):
        path = file(tmp_path, event(), event(event_id="e-2", event_name="purchase"))
        assert run(["validate", path]) == 0
        out = capsys.readouterr().out
        assert out.startswith(f"PASS  {path}\n  2 accepted, 0 rejected, 0 duplicates\n")
        assert "from 2026-03-01T10:15:00.250Z to 2026-03-01T10:15:00.250Z" in out

    def test_one_bad_event_fails_the_file_and_is_shown_with_its_line(self, tmp_path, capsys):
        path = file(tmp_path, event(), b"", b"{broken", event(event_id="e-2", user_id=17))
        code, said = findings(capsys, path)
        assert (code, said["verdict"], said["accepted"], said["rejected"], said["blank"]) == (
            1,
            "FAIL",
            1,
            2,
            1,
        )
        assert said["reasons"]["not_json"]["examples"][0]["line"] == 3
        assert said["reasons"]["not_json"]["examples"][0]["excerpt"] == "{broken"
        assert said["reasons"]["wrong_type"]["examples"][0]["line"] == 4
        assert said["reasons"]["wrong_type"]["remedy"]

    def test_the_text_names_reason_line_and_remedy(self, tmp_path, capsys):
        assert run(["validate", file(tmp_path, event(event_time=NOW_MS // 1000))]) == 1
        out = capsys.readouterr().out
        assert "bad_time  1" in out
        assert "line 1: event_time:" in out
        assert "Send epoch milliseconds, not seconds" in out

    def test_only_so_many_examples_are_shown_but_all_are_counted(self, tmp_path, capsys):
        path = file(tmp_path, *[b"x"] * 50)
        said = findings(capsys, path, "--examples", "2")[1]
        assert said["reasons"]["not_json"]["count"] == 50
        assert [one["line"] for one in said["reasons"]["not_json"]["examples"]] == [1, 2]

    def test_repeated_events_are_counted_and_do_no_harm(self, tmp_path, capsys):
        code, said = findings(capsys, file(tmp_path, event(), event()))
        assert (code, said["accepted"], said["duplicates"]) == (0, 1, 1)

    def test_events_out_of_order_are_too_late(self, tmp_path, capsys):
        late = event(event_id="e-2", event_time=NOW_MS - 2 * HOUR_MS)
        code, said = findings(capsys, file(tmp_path, event(), late))
        assert (code, list(said["reasons"])) == (1, ["too_late"])
        assert said["reasons"]["too_late"]["examples"][0]["line"] == 2

    def test_events_ahead_of_now_are_from_the_future(self, tmp_path, capsys):
        said = findings(capsys, file(tmp_path, event(event_time="2099-01-01T00:00:00Z")))[1]
        assert list(said["reasons"]) == ["from_the_future"]

    def test_control_characters_of_a_line_do_not_reach_the_terminal(self, tmp_path, capsys):
        run(["validate", file(tmp_path, b"\x1b[31mred \xff")])
        assert "\x1b" not in capsys.readouterr().out

    def test_limits_come_from_the_settings(self, tmp_path, capsys, monkeypatch):
        monkeypatch.setenv("KEEPSTREAM_MAX_EVENT_BYTES", "1024")
        said = findings(capsys, file(tmp_path, event(text="x" * 1024)))[1]
        assert list(said["reasons"]) == ["too_large"]


class TestFiles:
    @pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
    def test_compressed_files_are_read(self, tmp_path, capsys, pack):
        path = tmp_path / "events"
        path.write_bytes(pack(lines(event())))
        assert findings(capsys, str(path))[1]["accepted"] == 1

    def test_a_pipe_is_read(self, capsys, monkeypatch):
        pipe = io.TextIOWrapper(io.BytesIO(lines(event())))
        monkeypatch.setattr("sys.stdin", pipe)
        code, said = findings(capsys, "-")
        assert (code, said["accepted"], said["file"]) == (0, 1, "standard input")

    def test_a_file_of_blank_lines_does_not_pass(self, tmp_path, capsys):
        assert findings(capsys, file(tmp_path, b"", b" "))[0] == 1

    def test_a_missing_file_is_named(self, tmp_path, capsys):
        assert run(["validate", str(tmp_path / "nowhere")]) == 1
        assert "nowhere" in capsys.readouterr().err

    def test_help_shows_examples(self, capsys):
        assert run(["validate", "--help"]) == 0
        assert "zcat *.gz | keepstream validate - --json" in capsys.readouterr().out


def test_findings_do_not_depend_on_how_the_lines_are_handed_over():
    documents = [event(event_id=f"e-{n % 40}", event_time=NOW_MS + n % 7 * HOUR_MS) for n in range(200)]
    given = lines(*documents).splitlines()

    def judged(step):
        admission = Admission(allowed_lateness_ms=HOUR_MS, dedupe_window_ms=2 * HOUR_MS)
        validator = Validator(Decoder(), admission, now_ms=-1, examples=5)
        for start in range(0, len(given), step):
            validator.add(given[start : start + step])
        return validator.findings.as_json()

    assert judged(1) == judged(7) == judged(200)
