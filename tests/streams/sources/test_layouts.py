"""Every layout on rows as its publisher writes them."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest

from streams.sources import EventReader, read_events
from streams.sources.detect import LAYOUTS, layout_of
from streams.sources.head import Head


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


class Case:
    """Rows of one layout, and the events they stand for without their ids."""

    def __init__(
        self, layout: str, rows: str, events: Sequence[dict[str, Any]], skipped: dict[str, int]
    ) -> None:
        self.layout = layout
        self.rows = rows
        self.events = events
        self.skipped = skipped


RETAILROCKET = Case(
    "retailrocket",
    "timestamp,visitorid,event,itemid,transactionid\n"
    "1433221332117,257597,view,355908,\n"
    "1433224214164,992329,addtocart,248676,\n"
    "1433222276276,599528,transaction,356475,4000\n"
    "noon,1,view,2,\n"
    "1433222276276,1,stare,2,\n"
    "1433222276276,,view,2,\n"
    "1433222276276,1,view\n",
    [
        {"event_name": "view_item", "event_time": 1433221332117, "user_id": "257597", "item_id": "355908"},
        {"event_name": "add_to_cart", "event_time": 1433224214164, "user_id": "992329", "item_id": "248676"},
        {
            "event_name": "purchase",
            "event_time": 1433222276276,
            "user_id": "599528",
            "item_id": "356475",
            "properties": {"transaction_id": "4000"},
        },
    ],
    {"bad_time": 1, "unknown_event": 1, "missing_field": 1, "wrong_columns": 1},
)

REES46 = Case(
    "rees46",
    "event_time,event_type,product_id,category_id,category_code,brand,price,user_id,user_session\n"
    "2019-10-01 00:00:00 UTC,view,44600062,2103807459595387724,,shiseido,35.79,541312140,72d76fde-8bb3\n"
    "2019-10-01 00:00:01 UTC,purchase,3900821,205,appliances.environment.water_heater,aqua,33.20,55,s2\n",
    [
        {
            "event_name": "view_item",
            "event_time": ms("2019-10-01"),
            "user_id": "541312140",
            "session_id": "72d76fde-8bb3",
            "items": [
                {
                    "item_id": "44600062",
                    "item_category": "2103807459595387724",
                    "item_brand": "shiseido",
                    "price": 35.79,
                }
            ],
        },
        {
            "event_name": "purchase",
            "event_time": ms("2019-10-01T00:00:01"),
            "user_id": "55",
            "session_id": "s2",
            "items": [
                {
                    "item_id": "3900821",
                    "item_category": "appliances.environment.water_heater",
                    "item_brand": "aqua",
                    "price": 33.2,
                }
            ],
            "value": 33.2,
        },
    ],
    {},
)

OTTO = Case(
    "otto",
    '{"session":12,"events":[{"aid":59625,"ts":1661724000278,"type":"clicks"},'
    '{"aid":1,"ts":1661724000300,"type":"carts"},{"aid":1,"ts":1661724000400,"type":"orders"}]}\n'
    '{"session":13,"events":[{"aid":5,"ts":1661724000000,"type":"hovers"}]}\n'
    '{"session":14,"events":[{"aid"\n',
    [
        {
            "event_name": name,
            "event_time": time,
            "anonymous_id": "12",
            "session_id": "12",
            "item_id": item,
        }
        for name, time, item in (
            ("view_item", 1661724000278, "59625"),
            ("add_to_cart", 1661724000300, "1"),
            ("purchase", 1661724000400, "1"),
        )
    ],
    {"unknown_event": 1, "not_a_session": 1},
)

SESSION_REC = Case(
    "session-rec",
    "SessionId\tItemId\tTime\n3\t214716935\t1396437466.94\n6\t214701242\t1396796300\n6\t\t1396796300\n",
    [
        {
            "event_name": "view_item",
            "event_time": 1396437466940,
            "anonymous_id": "3",
            "session_id": "3",
            "item_id": "214716935",
        },
        {
            "event_name": "view_item",
            "event_time": 1396796300000,
            "anonymous_id": "6",
            "session_id": "6",
            "item_id": "214701242",
        },
    ],
    {"missing_field": 1},
)

YOOCHOOSE_CLICKS = Case(
    "yoochoose-clicks",
    "1,2014-04-07T10:51:09.277Z,214536502,0\n1,2014-04-07T10:54:09.868Z,214536500,S\n",
    [
        {
            "event_name": "view_item",
            "event_time": ms("2014-04-07T10:51:09.277"),
            "anonymous_id": "1",
            "session_id": "1",
            "items": [{"item_id": "214536502"}],
        },
        {
            "event_name": "view_item",
            "event_time": ms("2014-04-07T10:54:09.868"),
            "anonymous_id": "1",
            "session_id": "1",
            "items": [{"item_id": "214536500", "item_category": "S"}],
        },
    ],
    {},
)

YOOCHOOSE_BUYS = Case(
    "yoochoose-buys",
    "420374,2014-04-06T18:44:58.314Z,214537888,12462,1\n"
    "420374,2014-04-06T18:44:58.314Z,214537850,10471,2\n"
    "281626,2014-04-06T09:40:13.032Z,214535653,0,0\n",
    [
        {
            "event_name": "purchase",
            "event_time": ms("2014-04-06T18:44:58.314"),
            "anonymous_id": "420374",
            "session_id": "420374",
            "items": [
                {"item_id": "214537888", "price": 12462.0, "quantity": 1.0},
                {"item_id": "214537850", "price": 10471.0, "quantity": 2.0},
            ],
            "value": 33404.0,
        },
        {
            "event_name": "purchase",
            "event_time": ms("2014-04-06T09:40:13.032"),
            "anonymous_id": "281626",
            "session_id": "281626",
            "items": [{"item_id": "214535653"}],
        },
    ],
    {},
)

DIGINETICA = Case(
    "diginetica",
    "session_id;user_id;item_id;timeframe;eventdate\n1;NA;81766;526309;2016-05-09\n2;7;31331;0;2016-05-09\n",
    [
        {
            "event_name": "view_item",
            "event_time": ms("2016-05-09") + 526309,
            "anonymous_id": "1",
            "session_id": "1",
            "item_id": "81766",
        },
        {
            "event_name": "view_item",
            "event_time": ms("2016-05-09"),
            "user_id": "7",
            "session_id": "2",
            "item_id": "31331",
        },
    ],
    {},
)

GA4 = Case(
    "ga4",
    json.dumps(
        {
            "event_date": "20210131",
            "event_timestamp": "1612069510766593",
            "event_name": "add_to_cart",
            "event_params": [
                {"key": "ga_session_id", "value": {"string_value": None, "int_value": "77"}},
                {"key": "currency", "value": {"string_value": "USD"}},
                {"key": "page_title", "value": {"string_value": "Apparel"}},
            ],
            "user_id": None,
            "user_pseudo_id": "1026454.4271112504",
            "items": [
                {"item_id": "9195753", "item_category": "(not set)", "price": 24.0, "quantity": "2"},
                {"item_id": "(not set)", "item_name": "(not set)"},
            ],
        }
    )
    + "\n"
    + '{"event_timestamp":"1612069510766593","event_name":"view_search_results","user_pseudo_id":"9",'
    '"event_params":[{"key":"search_term","value":{"string_value":"mug"}}]}\n'
    + '{"event_timestamp":"1612069510766593","event_name":"page_view","user_pseudo_id":null}\n'
    + '{"event_timestamp":\n',
    [
        {
            "event_name": "add_to_cart",
            "event_time": 1612069510766,
            "anonymous_id": "1026454.4271112504",
            "session_id": "1026454.4271112504.77",
            "items": [{"item_id": "9195753", "price": 24.0, "quantity": 2.0}],
            "currency": "USD",
            "properties": {"page_title": "Apparel"},
        },
        {"event_name": "search", "event_time": 1612069510766, "anonymous_id": "9", "search_term": "mug"},
    ],
    {"no_subject": 1, "not_json": 1},
)

SEGMENT = Case(
    "segment",
    '{"type":"track","event":"Order Completed","userId":"u1","anonymousId":"a1","messageId":"ajs-1",'
    '"timestamp":"2024-05-01T10:00:00.500Z","properties":{"revenue":25.0,"currency":"EUR","products":'
    '[{"product_id":"p1","price":10,"quantity":2,"category":"Games","brand":"Hasbro"},{"sku":"s2"}]}}\n'
    '{"type":"track","event":"Product Reviewed","anonymousId":"a2","messageId":"ajs-2",'
    '"timestamp":"2024-05-01T10:00:01Z","properties":{"product_id":"p1","rating":"4","review_body":"Fine."}}\n'
    '{"type":"page","anonymousId":"a2","messageId":"ajs-3","timestamp":"2024-05-01T10:00:02Z"}\n'
    '{"type":"identify","userId":"u1","messageId":"ajs-4","timestamp":"2024-05-01T10:00:02Z"}\n',
    [
        {
            "event_id": "ajs-1",
            "event_name": "purchase",
            "event_time": ms("2024-05-01T10:00:00.500"),
            "user_id": "u1",
            "anonymous_id": "a1",
            "items": [
                {
                    "item_id": "p1",
                    "item_category": "Games",
                    "item_brand": "Hasbro",
                    "price": 10.0,
                    "quantity": 2.0,
                },
                {"item_id": "s2"},
            ],
            "value": 25.0,
            "currency": "EUR",
        },
        {
            "event_id": "ajs-2",
            "event_name": "review_submitted",
            "event_time": ms("2024-05-01T10:00:01"),
            "anonymous_id": "a2",
            "items": [{"item_id": "p1"}],
            "rating": 4.0,
            "text": "Fine.",
        },
        {
            "event_id": "ajs-3",
            "event_name": "page_view",
            "event_time": ms("2024-05-01T10:00:02"),
            "anonymous_id": "a2",
        },
    ],
    {"no_event": 1},
)

ONLINE_RETAIL = Case(
    "online-retail",
    "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"
    '536365,85123A,"HEART, WHITE",6,2010-12-01 08:26:00,2.50,17850.0,United Kingdom\n'
    "536365,85123A,HEART,2,2010-12-01 08:26:00,2.50,17850.0,United Kingdom\n"
    "536365,POST,POSTAGE,1,2010-12-01 08:26:00,18.00,17850.0,United Kingdom\n"
    "C536379,22632,WARMER,-1,2010-12-01 09:41:00,2.10,14527.0,United Kingdom\n"
    "536414,22139,,56,12/1/2010 11:52,0,,United Kingdom\n"
    "536589,21777,,-10,2010-12-01 16:50:00,0.0,,United Kingdom\n",
    [
        {
            "event_name": "purchase",
            "event_time": ms("2010-12-01T08:26:00"),
            "user_id": "17850",
            "items": [{"item_id": "85123A", "price": 2.5, "quantity": 8.0}],
            "value": 38.0,
            "currency": "GBP",
            "properties": {"invoice": "536365"},
        },
        {
            "event_name": "refund",
            "event_time": ms("2010-12-01T09:41:00"),
            "user_id": "14527",
            "items": [{"item_id": "22632", "price": 2.1, "quantity": 1.0}],
            "value": 2.1,
            "currency": "GBP",
            "properties": {"invoice": "C536379"},
        },
        {
            "event_name": "purchase",
            "event_time": ms("2010-12-01T11:52:00"),
            "anonymous_id": "invoice-536414",
            "items": [{"item_id": "22139", "quantity": 56.0}],
            "value": 0.0,
            "currency": "GBP",
            "properties": {"invoice": "536414"},
        },
    ],
    {"correction": 1},
)

CDNOW = Case(
    "cdnow",
    " 00001 19970101  1   11.77\n 00002 19970112  5   77.00\n 00003 19971302  1 5.0\n",
    [
        {
            "event_name": "purchase",
            "event_time": ms("1997-01-01"),
            "user_id": "00001",
            "value": 11.77,
            "currency": "USD",
            "properties": {"quantity": 1},
        },
        {
            "event_name": "purchase",
            "event_time": ms("1997-01-12"),
            "user_id": "00002",
            "value": 77.0,
            "currency": "USD",
            "properties": {"quantity": 5},
        },
    ],
    {"bad_time": 1},
)

COMPLETE_JOURNEY = Case(
    "complete-journey",
    "household_id,store_id,basket_id,product_id,quantity,sales_value,transaction_timestamp\n"
    "900,330,31198570044,1095275,2,5.0,2017-01-01 11:53:26\n"
    "900,330,31198570044,9878513,0,0.99,2017-01-01 11:53:26\n"
    "1228,406,31198655051,1041453,1,0.62,2017-01-01 12:03:27\n",
    [
        {
            "event_name": "purchase",
            "event_time": ms("2017-01-01T11:53:26"),
            "user_id": "900",
            "items": [
                {"item_id": "1095275", "price": 2.5, "quantity": 2.0},
                {"item_id": "9878513", "price": 0.99, "quantity": 1},
            ],
            "value": 5.99,
            "currency": "USD",
            "properties": {"basket_id": "31198570044"},
        },
        {
            "event_name": "purchase",
            "event_time": ms("2017-01-01T12:03:27"),
            "user_id": "1228",
            "items": [{"item_id": "1041453", "price": 0.62, "quantity": 1.0}],
            "value": 0.62,
            "currency": "USD",
            "properties": {"basket_id": "31198655051"},
        },
    ],
    {},
)

MAPPED = Case(
    "csv",
    "event_time;event_name;user_id;item_id;price;campaign\n"
    "2024-01-01T10:00:00+01:00;addtocart;ann;p1;9.50;x\n"
    "2024-01-01T10:00:00;home;bob;;;\n"
    ";home;bob;;;\n",
    [
        {
            "event_name": "add_to_cart",
            "event_time": ms("2024-01-01T09:00:00"),
            "user_id": "ann",
            "items": [{"item_id": "p1", "price": 9.5}],
        },
        {"event_name": "home", "event_time": ms("2024-01-01T10:00:00"), "user_id": "bob"},
    ],
    {"bad_time": 1},
)

CASES = (
    RETAILROCKET,
    REES46,
    OTTO,
    SESSION_REC,
    YOOCHOOSE_CLICKS,
    YOOCHOOSE_BUYS,
    DIGINETICA,
    GA4,
    SEGMENT,
    ONLINE_RETAIL,
    CDNOW,
    COMPLETE_JOURNEY,
    MAPPED,
)


@pytest.fixture(params=CASES, ids=lambda case: case.layout)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


class TestEveryLayout:
    def test_is_found_by_its_first_rows_alone(self, case, tmp_path):
        (tmp_path / "log").write_text(case.rows)
        with EventReader([tmp_path / "log"]) as reader:
            assert [layout for _, layout in reader.layouts] == [case.layout]

    def test_gives_the_events_and_counts_the_rows_without_one(self, case, tmp_path):
        (tmp_path / "log").write_text(case.rows)
        with EventReader([tmp_path / "log"], format=case.layout) as reader:
            events = list(reader)
        for event in events:
            assert 1 <= len(event["event_id"]) <= 64
        if case.layout != "segment":
            events = [{k: v for k, v in event.items() if k != "event_id"} for event in events]
        assert events == case.events
        assert dict(reader.report.skipped) == case.skipped
        assert reader.report.events == len(events)

    def test_gives_distinct_ids_that_are_the_same_on_the_next_reading(self, case, tmp_path):
        (tmp_path / "a").write_text(case.rows)
        (tmp_path / "b").write_text(case.rows)
        first = [event["event_id"] for event in read_events([tmp_path / "a"])]
        assert first == [event["event_id"] for event in read_events([tmp_path / "b"])]
        assert len(set(first)) == len(first)

    def test_reads_windows_line_ends_alike(self, case, tmp_path):
        (tmp_path / "dos").write_bytes(case.rows.replace("\n", "\r\n").encode())
        (tmp_path / "unix").write_text(case.rows)
        assert list(read_events([tmp_path / "dos"])) == list(read_events([tmp_path / "unix"]))

    def test_fits_no_other_layouts_rows(self, case):
        head = Head("log", case.rows.encode().splitlines(keepends=True))
        assert layout_of(head) is LAYOUTS[case.layout]


def test_every_layout_has_a_case_here_or_a_test_of_its_own():
    assert {case.layout for case in CASES} | {"keepstream"} == LAYOUTS.keys()
