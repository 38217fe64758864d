import json

import pytest

from online_models.errors import InvalidParameterError
from streams.decode import Decoder
from streams.engine.handler import Record
from streams.erasure import event_of

NOW = 1_772_360_100_250


@pytest.mark.parametrize(("anonymous", "subject"), [(False, "u:c 4711/ü"), (True, "a:c 4711/ü")])
def test_the_event_is_accepted_and_names_the_subject(anonymous, subject):
    value = event_of("c 4711/ü", NOW, anonymous=anonymous)
    decoded = Decoder().decode([Record(0, NOW, None, value)])
    assert (decoded.rejects, decoded.events.subject) == ([], [subject])
    assert json.loads(value)["event_name"] == "user_erased"


def test_every_request_has_an_id_of_its_own():
    ids = {json.loads(event_of("ann", NOW, anonymous=False))["event_id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize("user", ["", " ", "x" * 129, "a\nb"])
def test_an_id_that_no_event_can_have_is_refused(user):
    with pytest.raises(InvalidParameterError, match="nobody can be called"):
        event_of(user, NOW, anonymous=False)
