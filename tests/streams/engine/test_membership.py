"""The bytes a transaction is fenced with, and when a membership counts as unbroken."""

import pytest

from streams.engine import membership
from streams.engine.membership import Membership, check_layout
from streams.errors import EngineError

EARLIER = Membership("g", "i", 5, "m")


class TestLayout:
    def test_our_bytes_are_those_of_the_installed_librdkafka(self):
        check_layout()

    def test_another_layout_is_refused_with_both_versions_shown(self, monkeypatch):
        monkeypatch.setattr(membership, "_MAGIC", b"CGMDv3:")
        with pytest.raises(EngineError, match=r"CGMDv2.*CGMDv3.*install a confluent-kafka release"):
            check_layout()


class TestContinues:
    @pytest.mark.parametrize("generation", [5, 6])
    def test_the_same_member_one_generation_on_at_most_is_unbroken(self, generation):
        assert Membership("g", "i", generation, "m").continues(EARLIER)

    @pytest.mark.parametrize(
        "now", [Membership("g", "i", 7, "m"), Membership("g", "i", 6, "other"), Membership("g", "i", 4, "m")]
    )
    def test_a_missed_generation_or_another_member_is_a_break(self, now):
        assert not now.continues(EARLIER)

    def test_the_first_membership_continues_nothing(self):
        assert not EARLIER.continues(None)


@pytest.mark.parametrize(("generation", "member"), [(0, "m"), (-1, "m"), (3, "")])
def test_a_member_the_coordinator_has_not_admitted_never_commits(generation, member):
    assert not Membership("g", None, generation, member).may_commit
