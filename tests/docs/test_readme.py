"""What README and docs tell a reader to type exists: commands, options, settings, metrics, topics."""

import re

import msgspec
import pytest

from online_models.events import EVENT_NAMES
from online_models.value.lifecycle import STAGES
from streams.cli import COMMANDS, load_command
from streams.metrics.table import TABLE
from streams.schemas import Event, RetentionBoard
from streams.settings import CONFIG, PREFIX, Secret, catalogue
from streams.topics import TOPICS
from tests.docs.pages import PAGES, ROOT, console_lines, inline_code, keepstream_calls, name

README = ROOT / "README.md"
OPERATIONS = ROOT / "docs" / "operations.md"
CONFIGURED = [*PAGES, ROOT / ".env.example", ROOT / "docker-compose.yml", ROOT / "deploy" / "Dockerfile"]


def parse(words):
    """Parse a call as the command line would, without running it; names alone need no arguments."""
    command = load_command(words[0])
    rest = words[1:]
    if rest and rest[0] in getattr(command, "commands", {}):
        command, rest = command.commands[rest[0]], rest[1:]
    wanted = [word for word in rest if word != "--help"]
    if wanted:
        command.make_context(words[0], wanted)


def existing_commands():
    return [command for command in COMMANDS if (ROOT / "streams" / "cli" / f"{command}.py").exists()]


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_call_of_keepstream_parses(page):
    for words in keepstream_calls(page):
        if words[0].startswith("--"):
            continue
        assert words[0] in existing_commands(), words
        parse(words)


def test_a_call_that_does_not_parse_is_noticed():
    with pytest.raises(Exception, match="--frm-beginning"):
        parse(["tail", "dlq", "--frm-beginning"])


def test_calls_are_found():
    assert ["dlq", "list", "--since", "1h"] in keepstream_calls(OPERATIONS)
    assert ["user", "c-4711"] in keepstream_calls(README)


def test_the_readme_names_every_command():
    table = "".join(line for line in README.read_text().splitlines() if line.startswith("| `keepstream "))
    named = re.findall(r"`(?:keepstream )?(\w+)`", table)
    assert sorted(named) == sorted(existing_commands())


def test_every_make_target_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    calls = [text for page in PAGES for text in [*console_lines(page), *inline_code(page)]]
    wanted = {text.split()[1] for text in calls if re.match(r"make [a-z]", text)}
    assert {"demo", "test"} <= wanted <= targets


@pytest.mark.parametrize("page", CONFIGURED, ids=name)
def test_every_variable_is_a_setting(page):
    known = {item.variable for item in catalogue()} | {CONFIG}
    known |= {item.variable + "_FILE" for item in catalogue() if item.kind is Secret}
    found = set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", page.read_text()))
    assert found - known == set()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_topic_and_metric_exists(page):
    topics = {topic.name for topic in TOPICS}
    metrics = {metric.name for metric in TABLE}
    codes = inline_code(page)
    assert {code for code in codes if re.fullmatch(r"[a-z.-]+\.v\d(\.dlq)?", code)} - topics == set()
    assert {code for code in codes if re.fullmatch(r"keepstream_[a-z_]+", code)} - metrics == set()


def test_every_setting_that_the_operations_page_names_exists():
    known = {item.name for item in catalogue()} | set(EVENT_NAMES)
    known |= {"event_time", "too_late", "waiting_for"}  # a reject reason, and a key of /health/ready
    known |= {field.name for struct in (RetentionBoard, Event) for field in msgspec.structs.fields(struct)}
    known |= set(STAGES)
    metrics = {metric.name for metric in TABLE}
    named = {code for code in inline_code(OPERATIONS) if re.fullmatch(r"[a-z]+(_[a-z]+)+", code)}
    assert named - known - metrics == set()
