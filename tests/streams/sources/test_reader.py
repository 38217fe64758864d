"""Reading files: compression, damage, Parquet, order, detection, mappings."""

import gzip
import io
import sys
from types import SimpleNamespace

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.errors import SourceError
from streams.sources import EventReader, read_events
from streams.sources.ordering import in_time_order
from streams.sources.reader import checked_order
from streams.sources.record import SourceRecord, record_of

NATIVE = b'{"event_id":"%d","event_name":"view_item","event_time":%d,"user_id":"u"}\n'
LINES = [NATIVE % (number, 1_700_000_000_000 + number) for number in range(100)]


class TestCompression:
    @pytest.mark.parametrize(
        "compress", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstandard"]
    )
    def test_is_known_by_the_first_bytes_whatever_the_name(self, compress, tmp_path):
        (tmp_path / "log").write_bytes(compress(b"".join(LINES)))
        with EventReader([tmp_path / "log"]) as reader:
            assert list(reader) == [line.strip() for line in LINES]
            assert reader.bytes_read == reader.bytes_total > 0

    def test_a_cut_gzip_file_names_the_last_line_that_was_read(self, tmp_path):
        (tmp_path / "log").write_bytes(gzip.compress(b"".join(LINES * 100))[:-200])
        with pytest.raises(SourceError, match=r"log: damaged after line \d+"):
            list(read_events([tmp_path / "log"]))

    def test_standard_input_is_read_as_a_file(self, monkeypatch):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(b"".join(LINES))))
        assert len(list(read_events(["-"]))) == len(LINES)


class TestFilesThatCannotBeRead:
    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"", "the file is empty"),
            ("a,b\n".encode("utf-16"), "UTF-16"),
            (b"one two\nthree\n", "no known format"),
            (b"when,who,what\n1,2,3\n", "the columns are when, who, what"),
            (b'{"a":1}\n', "no known format"),
        ],
    )
    def test_say_why(self, content, message, tmp_path):
        (tmp_path / "log").write_bytes(content)
        with pytest.raises(SourceError, match=message):
            EventReader([tmp_path / "log"])

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(SourceError, match=r"gone.csv: No such file"):
            EventReader([tmp_path / "gone.csv"])

    def test_an_unclear_file_names_the_candidates_and_the_option(self, tmp_path):
        (tmp_path / "log").write_text(
            '{"event_id":"1"}\n{"event_id":"1","event_name":"a","event_time":1}\n{}\n'
        )
        with pytest.raises(SourceError, match="say --format with one of: keepstream"):
            EventReader([tmp_path / "log"])

    def test_a_format_that_does_not_fit_names_the_missing_columns(self, tmp_path):
        (tmp_path / "log").write_text("SessionId,Item\n1,2\n")
        with pytest.raises(SourceError, match="needs the columns Time"):
            list(read_events([tmp_path / "log"], format="session-rec"))

    def test_an_unknown_format_lists_all(self, tmp_path):
        (tmp_path / "log").write_text("a,b\n1,2\n")
        with pytest.raises(SourceError, match="no format parkett; the formats are keepstream, retailrocket"):
            EventReader([tmp_path / "log"], format="parkett")


class TestNativeEvents:
    def test_broken_lines_are_passed_on_untouched_and_blank_ones_are_not(self, tmp_path):
        (tmp_path / "log").write_bytes(b"\xef\xbb\xbf" + LINES[0] + b'\n{"broken": \n' + LINES[1])
        assert list(read_events([tmp_path / "log"])) == [LINES[0].strip(), b'{"broken": ', LINES[1].strip()]

    def test_are_keyed_by_user_then_by_visitor(self):
        assert record_of(b'{"event_time":"1970-01-01T00:00:01Z","user_id":"u","anonymous_id":"a"}')[:2] == (
            1000,
            b"u",
        )
        assert record_of(b'{"event_time":5,"anonymous_id":"a"}')[:2] == (5, b"a")
        assert record_of(b'{"event_time":[],"user_id":7}')[:2] == (None, None)


class TestTables:
    def test_quoted_cells_may_hold_delimiters_quotes_and_line_ends(self, tmp_path):
        (tmp_path / "log").write_text(
            'event_time,event_name,user_id,text\n1,login,a,"x, ""y""\nz"\n2,login,b,\n'
        )
        events = list(read_events([tmp_path / "log"]))
        assert events[0]["text"] == 'x, "y"\nz'
        assert events[1]["event_id"].startswith("csv-4-")

    def test_a_quote_that_never_closes_is_reported_with_its_line(self, tmp_path):
        (tmp_path / "log").write_text(
            'event_time,event_name,user_id\n1,login,a\n2,login,"b\n' + "3,login,c\n" * 200_000
        )
        with EventReader([tmp_path / "log"]) as reader:
            list(reader)
        assert "bad_quoting" in reader.report.skipped
        assert ":3: lines 3 to " in reader.report.examples["bad_quoting"][0]

    def test_latin_1_is_read_where_a_line_is_not_utf_8(self, tmp_path):
        (tmp_path / "log").write_bytes("event_time,event_name,user_id\n1,login,Jürgen\n".encode("latin-1"))
        assert [event["user_id"] for event in read_events([tmp_path / "log"])] == ["Jürgen"]

    def test_a_purchase_of_more_than_200_items_becomes_several_with_the_same_total(self, tmp_path):
        rows = "".join(f"1,{item},x,1,2010-12-01 08:26:00,2,5,UK\n" for item in range(450))
        (tmp_path / "log").write_text(
            f"InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n{rows}"
        )
        events = list(read_events([tmp_path / "log"]))
        assert [len(event["items"]) for event in events] == [200, 200, 50]
        assert sum(event["value"] for event in events) == 900
        assert len({event["event_id"] for event in events}) == 3


class TestParquet:
    def test_typed_columns_give_the_events_of_the_text_file(self, tmp_path):
        (tmp_path / "log.csv").write_text("SessionId,ItemId,Time\n1,20,1396437466.5\n2,21,1396437467\n")
        table = pa.table(
            {
                "SessionId": [1, 2],
                "ItemId": pa.array(["20", "21"]).dictionary_encode(),
                "Time": pa.array([1396437466_500_000_000, 1396437467_000_000_000], pa.timestamp("ns")),
            }
        )
        pq.write_table(table, tmp_path / "log.parquet")
        with EventReader([tmp_path / "log.parquet"]) as reader:
            typed = list(reader)
            assert reader.bytes_read == reader.bytes_total
        text = list(read_events([tmp_path / "log.csv"]))
        for event in typed + text:
            assert event.pop("event_id")
        assert typed == text

    def test_nested_columns_are_read_as_objects(self, tmp_path):
        table = pa.table(
            {
                "event_name": ["view_item"],
                "event_timestamp": [1612069510766593],
                "user_pseudo_id": ["7"],
                "items": [[{"item_id": "a", "price": 2.0}]],
            }
        )
        pq.write_table(table, tmp_path / "ga4")
        [event] = read_events([tmp_path / "ga4"])
        assert event["items"] == [{"item_id": "a", "price": 2.0}]
        assert event["event_time"] == 1612069510766

    def test_a_damaged_file_is_an_error(self, tmp_path):
        (tmp_path / "log").write_bytes(b"PAR1 and nothing more")
        with pytest.raises(SourceError, match="damaged Parquet"):
            EventReader([tmp_path / "log"])


class TestMapping:
    ROWS = "ts,customer,what,sku\n31.12.2020 23:59,ann,schauen,p1\n"

    def test_columns_constants_translations_and_a_time_pattern_make_an_event(self, tmp_path):
        (tmp_path / "log").write_text(self.ROWS)
        mapping = {
            "event_time": "ts",
            "event_time[format]": "%d.%m.%Y %H:%M",
            "event_name": "what",
            "event_name[schauen]": "view_item",
            "user_id": "customer",
            "item_id": "sku",
            "currency": '"EUR"',
        }
        [event] = read_events([tmp_path / "log"], mapping=mapping)
        assert event.pop("event_id").startswith("csv-2-")
        assert event == {
            "event_name": "view_item",
            "event_time": 1609459140000,
            "user_id": "ann",
            "currency": "EUR",
            "items": [{"item_id": "p1"}],
        }

    @pytest.mark.parametrize(
        ("mapping", "message"),
        [
            ({"event_time": "ts", "user_id": "customer"}, "nothing about event_name"),
            ({"event_name": "what", "user_id": "customer"}, "nothing about event_time"),
            ({"event_time": "ts", "event_name": "what"}, "neither user_id nor anonymous_id"),
            (
                {"event_time": "ts", "event_name": "what", "user_id": "who"},
                "--map user_id=who: the columns are",
            ),
            ({"event_time": "ts", "event_name": "what", "user": "customer"}, "--map user: no such field"),
        ],
    )
    def test_says_what_it_lacks(self, mapping, message, tmp_path):
        (tmp_path / "log").write_text(self.ROWS)
        with pytest.raises(SourceError, match=message):
            list(read_events([tmp_path / "log"], mapping=mapping))

    def test_a_number_that_cannot_be_read_goes_on_as_it_is_for_the_worker_to_reject(self, tmp_path):
        (tmp_path / "log").write_text("event_time,event_name,user_id,value\n1,login,a,12 EUR\n")
        assert [event["value"] for event in read_events([tmp_path / "log"])] == ["12 EUR"]


class TestOrder:
    def test_a_log_by_session_is_refused_with_the_advice(self):
        records = [SourceRecord(hour * 3_600_000, None, b"") for hour in (9, 10, 2, 3, 8)]
        with pytest.raises(SourceError, match=r"3 of 5 events .* worst by 8.0 h\); add --sort"):
            checked_order(iter(records), "add --sort")

    def test_a_log_within_the_allowed_lateness_passes_whole(self):
        records = [SourceRecord(time, None, b"") for time in (5000, 1000, None, 6000)]
        assert list(checked_order(iter(records), "", look_ahead=2)) == records

    @settings(deadline=None)
    @given(st.lists(st.none() | st.integers(0, 50), max_size=60), st.integers(1, 6))
    def test_sorting_through_files_equals_sorting_in_memory(self, times, per_run):
        records = [
            SourceRecord(time, None if number % 3 else b"k%d" % number, b"v%d" % number)
            for number, time in enumerate(times)
        ]
        known, expected = 0, []
        for record in records:
            known = known if record.time_ms is None else record.time_ms
            expected.append((known, record))
        expected.sort(key=lambda entry: entry[0])
        assert list(in_time_order(iter(records), chunk_bytes=250 * per_run)) == [r for _, r in expected]

    def test_files_of_any_layout_are_merged_by_time(self, tmp_path):
        (tmp_path / "clicks").write_text("1,2014-04-07T10:51:09.277Z,5,0\n1,2014-04-07T10:59:09.277Z,6,0\n")
        (tmp_path / "buys").write_text("1,2014-04-07T10:55:00.000Z,5,10,1\n")
        merged = read_events([tmp_path / "clicks", tmp_path / "buys"], sort=True)
        names = [msgspec.json.decode(event)["event_name"] for event in merged]
        assert names == ["view_item", "purchase", "view_item"]
