"""The frame of the command line: what every command gets for free."""

import os
import pkgutil
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from online_models.errors import KeepstreamError
from streams import cli
from streams.cli import COMMANDS, load_command, run

AVAILABLE = cli.LazyGroup(name="keepstream").list_commands(None)


def keepstream(*arguments, **options):
    command = [sys.executable, "-m", "streams.cli", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, **options)


class TestHelp:
    def test_it_lists_every_command_with_its_line(self, capsys):
        assert run(["--help"]) == 0
        shown = capsys.readouterr().out
        for name in AVAILABLE:
            assert f"  {name} " in shown
            assert COMMANDS[name] in shown

    def test_it_imports_no_command_and_nothing_heavy(self):
        program = (
            "import sys\nfrom streams.cli import run\nrun(['--help'])\n"
            "print(*(name for name in sys.modules if name.partition('.')[0] in "
            "('numpy', 'river', 'faust', 'kafka', 'confluent_kafka', 'aiohttp', 'rich')), file=sys.stderr)\n"
            "print(*(name for name in sys.modules if name.startswith('streams.cli.')), file=sys.stderr)"
        )
        shown = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
        assert shown.stderr.split() == []

    @pytest.mark.parametrize("name", AVAILABLE)
    def test_every_command_explains_itself(self, name, capsys):
        assert run([name, "--help"]) == 0
        shown = capsys.readouterr().out
        assert f"Usage: keepstream {name}" in shown
        assert "--install-completion" not in shown

    @pytest.mark.parametrize("name", AVAILABLE)
    def test_every_command_teaches_by_examples_that_parse(self, name):
        command = load_command(name)
        subcommands = getattr(command, "commands", None)
        words = {f"{name} {one}": sub for one, sub in subcommands.items()} if subcommands else {name: command}
        for call, one in words.items():
            examples = re.findall(rf"keepstream {call}\b(.*)", one.help)
            assert examples, call
            for example in examples:
                given = shlex.split(re.split(r" \| | > |\)", example)[0])
                if given:
                    one.make_context(call, given)

    @pytest.mark.parametrize("name", AVAILABLE)
    def test_every_command_module_has_exactly_one_entry(self, name):
        module = __import__(f"streams.cli.{name}", fromlist=["_"])
        assert hasattr(module, "app") != hasattr(module, "command")
        assert load_command(name).name == name

    def test_every_module_that_looks_like_a_command_is_in_the_table(self):
        modules = {module.name for module in pkgutil.iter_modules(cli.__path__)}
        commands = {
            name
            for name in modules - {"__main__"}
            if {"app", "command"} & vars(__import__(f"streams.cli.{name}", fromlist=["_"])).keys()
        }
        assert commands == set(AVAILABLE)


class TestExitCodes:
    def test_an_error_of_ours_is_one_line_without_a_traceback(self):
        shown = keepstream("topics", "list", "--config", "/nowhere.toml")
        assert shown.returncode == 1
        assert shown.stdout == ""
        assert shown.stderr == (
            "keepstream: error: cannot read the settings file /nowhere.toml: No such file or directory\n"
        )

    def test_a_bug_shows_its_traceback_but_no_values(self, monkeypatch):
        def broken(*_, **__):
            raise ZeroDivisionError("a bug")

        monkeypatch.setattr(cli, "load_command", broken)
        with pytest.raises(ZeroDivisionError):
            run(["topics", "list"])
        assert cli.app.pretty_exceptions_enable is False

    def test_wrong_usage_is_2_and_names_the_nearest_command(self, capsys):
        assert run(["topicks"]) == 2
        assert "Did you mean 'topics'?" in capsys.readouterr().err
        assert run(["topics", "list", "--nonsense"]) == 2

    @pytest.mark.parametrize(("raised", "code"), [(KeyboardInterrupt(), 130), (KeepstreamError("no"), 1)])
    def test_what_a_command_raises_becomes_the_exit_code(self, monkeypatch, raised, code):
        import streams.cli.validate

        def command() -> None:
            raise raised

        monkeypatch.setattr(streams.cli.validate, "command", command)
        assert run(["validate"]) == code

    def test_a_reader_that_leaves_ends_a_command_quietly(self):
        pipeline = f"{sys.executable} -m streams.cli config show --json | head -1"
        shown = subprocess.run(["sh", "-c", pipeline], capture_output=True, text=True, check=True)
        assert shown.stdout == "[\n"
        assert shown.stderr == ""

    def test_the_version_is_that_of_the_distribution(self, capsys):
        from importlib.metadata import version

        assert run(["--version"]) == 0
        assert capsys.readouterr().out == f"keepstream {version('keepstream')}\n"


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="counts threads where Linux lists them")
def test_linear_algebra_of_a_command_starts_no_threads_that_would_keep_cores_busy():
    script = (
        "import os, streams.cli, numpy; from pathlib import Path; "
        "big = numpy.ones((600, 600)); big @ big; print(len(list(Path('/proc/self/task').iterdir())))"
    )
    names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
    clean = {name: value for name, value in os.environ.items() if name not in names}
    done = subprocess.run(
        [sys.executable, "-c", script], env=clean, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "1"
