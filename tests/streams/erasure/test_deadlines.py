import pytest

from streams import topics
from streams.erasure import Limits
from streams.settings import Settings, load

DAY_MS = 86_400_000
HOUR_MS = 3_600_000
NOW = 1_772_360_100_250


def limits(topic, settings=None, *, cleaner=True, **configs):
    wanted = topic.configs(settings or Settings()) | {key.replace("_", "."): v for key, v in configs.items()}
    return Limits.of(wanted, cleaner=cleaner)


def test_rows_of_a_changelog_go_a_day_and_a_segment_after_they_were_replaced():
    found = limits(topics.USERS_CHANGELOG)
    assert found.gone_by(NOW) is None
    assert found.replaced_by(NOW) == NOW + DAY_MS + HOUR_MS
    assert found.tombstone_by(NOW) == NOW + 3 * DAY_MS + 2 * HOUR_MS


def test_dead_letters_go_by_compaction_or_by_retention_whichever_comes_first():
    assert limits(topics.DEAD_LETTERS).replaced_by(NOW) == NOW + 9 * DAY_MS
    soon = load(environ={}, dead_letter_retention="3d")
    assert limits(topics.DEAD_LETTERS, soon).replaced_by(NOW) == NOW + 4 * DAY_MS
    assert limits(topics.DEAD_LETTERS).gone_by(NOW) == NOW + 31 * DAY_MS


@pytest.mark.parametrize("how", [{"cleaner": False}, {"max_compaction_lag_ms": str(2**63 - 1)}])
def test_without_a_cleaner_or_a_lag_there_is_no_deadline_but_retention(how):
    assert limits(topics.SCORES, **how).replaced_by(NOW) is None
    assert limits(topics.SCORES, **how).tombstone_by(NOW) is None
    assert limits(topics.DEAD_LETTERS, **how).replaced_by(NOW) == NOW + 31 * DAY_MS


def test_history_that_is_kept_for_ever_never_goes():
    assert limits(topics.EVENTS, load(environ={}, event_retention="forever")).gone_by(NOW) is None
    assert limits(topics.EVENTS).gone_by(NOW) == NOW + 8 * DAY_MS


def test_a_topic_made_by_somebody_else_has_kafka_s_own_segments():
    assert Limits.of({"cleanup.policy": "delete", "retention.ms": "0"}, cleaner=True).gone_by(0) == 7 * DAY_MS
