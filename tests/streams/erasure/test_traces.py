import pytest

from streams.erasure.traces import Trace

ROW = b"row"
SINCE = 10


@pytest.mark.parametrize(
    ("records", "erased_from", "state"),
    [
        ([], None, "gone"),
        ([(3, ROW), (12, None)], None, "deleted"),
        ([(3, None)], None, "deleted"),
        ([(3, ROW)], None, "present"),
        ([(3, ROW), (12, ROW)], None, "present"),
        ([(3, ROW), (12, None), (13, ROW)], None, "replaced"),
        ([(3, None), (4, ROW)], None, "present"),
        ([(3, None), (12, ROW)], None, "present"),
        ([(3, ROW), (12, ROW)], 12, "replaced"),
        ([(3, ROW), (12, ROW)], 13, "present"),
    ],
)
def test_only_a_deletion_or_a_row_from_after_the_erasure_counts(records, erased_from, state):
    trace = Trace(b"u:ann", SINCE)
    for offset, value in records:
        trace.see(offset, value)
    assert trace.state(erased_from) == state
