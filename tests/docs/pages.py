"""The pages of the documentation, and what stands in them."""

import re
import shlex
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")])

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"`([^`]+)`")
_ENDS = {"|", ">", ">>", "&&", ";", "&"}


def name(page):
    return page.relative_to(ROOT).as_posix()


def console_lines(page):
    """Return the commands of a page's console blocks, without their prompts."""
    lines = []
    for language, block in _FENCE.findall(page.read_text()):
        if language in ("console", "sh", "bash"):
            joined = block.replace("\\\n", " ")
            lines += [line.removeprefix("$ ") for line in joined.splitlines() if line.startswith("$ ")]
    return lines


def inline_code(page):
    """Return what stands in backticks outside of blocks; it may run over the end of a line."""
    return [" ".join(code.split()) for code in _INLINE.findall(_FENCE.sub("", page.read_text()))]


def keepstream_calls(page):
    """Return the words after `keepstream` of every call on a page, up to a pipe or a comment."""
    calls = []
    for line in [*console_lines(page), *inline_code(page)]:
        program, _, rest = line.partition(" ")
        if rest and program in ("keepstream", ".venv/bin/keepstream"):
            words = shlex.split(rest, comments=True)
            end = next((index for index, word in enumerate(words) if word in _ENDS), len(words))
            calls.append(words[:end])
    return calls
