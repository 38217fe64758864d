"""`keepstream completion`: the scripts, and what a shell is told by way of them."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from streams.cli import run

PROGRAMS = Path(sys.executable).parent


def told(**environment):
    """Return what the program answers to a shell that asks by variables."""
    shown = subprocess.run(
        [PROGRAMS / "keepstream"],
        env={"PATH": str(PROGRAMS), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert shown.stderr == ""
    return shown.stdout.split()


def by_bash(words):
    return told(
        _KEEPSTREAM_COMPLETE="complete_bash", COMP_WORDS=words, COMP_CWORD=str(len(words.split(" ")) - 1)
    )


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("keepstream do", ["doctor"]),
        ("keepstream dlq ", ["list", "show", "replay"]),
        ("keepstream dlq replay --s", ["--since"]),
        ("keepstream worker --log-format ", ["console", "json"]),
        ("keepstream completion ", ["bash", "zsh", "fish"]),
        ("keepstream tail --from", ["--from-beginning"]),
    ],
)
def test_commands_options_and_values_are_completed(words, found):
    assert by_bash(words) == found


def test_zsh_and_fish_are_told_what_each_word_means():
    shown = " ".join(told(_KEEPSTREAM_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="keepstream do"))
    assert '"doctor":"Look for what is wrong' in shown
    shown = " ".join(
        told(
            _KEEPSTREAM_COMPLETE="complete_fish",
            _TYPER_COMPLETE_ARGS="keepstream do",
            _TYPER_COMPLETE_FISH_ACTION="get-args",
        )
    )
    assert shown.startswith("doctor Look for what is wrong")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_script_asks_the_program(shell, capsys):
    assert run(["completion", shell]) == 0
    assert f"_KEEPSTREAM_COMPLETE=complete_{shell}" in capsys.readouterr().out


def test_another_shell_is_refused(capsys):
    assert run(["completion", "tcsh"]) == 2
    assert "tcsh" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("shell", "check"),
    [("bash", ["-n"]), ("zsh", ["-n"]), ("fish", ["--no-execute"])],
)
def test_a_shell_can_read_its_script(shell, check, capsys, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"there is no {shell} here")
    run(["completion", shell])
    (tmp_path / "script").write_text(capsys.readouterr().out)
    subprocess.run([shell, *check, tmp_path / "script"], check=True, timeout=60)


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_bash_completes_with_the_script():
    program = """
        source <(keepstream completion bash)
        COMP_WORDS=(keepstream dlq replay --dr) COMP_CWORD=3
        _keepstream_completion keepstream
        printf '%s\\n' "${COMPREPLY[@]}"
    """
    path = f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"
    shown = subprocess.run(
        ["bash", "-c", program], env={"PATH": path}, capture_output=True, text=True, check=True, timeout=60
    )
    assert shown.stdout.split() == ["--dry-run"]
