"""`keepstream config`: values with their origin, secrets hidden, and what does not fit together."""

import json

import pytest

from streams.cli import run
from streams.settings import Secret, catalogue, load
from streams.settings.advice import advise


def notes(**given):
    return {advice.names: advice for advice in advise(load(environ={}, **given))}


class TestShow:
    def test_values_origins_defaults_and_meaning_but_no_secret(self, capsys, monkeypatch, tmp_path):
        file = tmp_path / "shop.toml"
        file.write_text("[topics]\nevents_partitions = 9\n")
        monkeypatch.setenv("KEEPSTREAM_HORIZON", "14d")
        monkeypatch.setenv("KEEPSTREAM_API_TOKEN", "hunter2")
        assert run(["config", "show", "--config", str(file)]) == 0
        shown = capsys.readouterr().out
        assert "horizon = 14d (from KEEPSTREAM_HORIZON; default 28d)\n    A user churned" in shown
        assert f"events_partitions = 9 (from {file}: [topics] events_partitions; default 4)" in shown
        assert "api_token = *** (from KEEPSTREAM_API_TOKEN; default none)" in shown
        assert "hunter2" not in shown

    def test_a_secret_from_a_file_is_not_shown_either(self, capsys, monkeypatch, tmp_path):
        (tmp_path / "token").write_text("hunter2\n")
        monkeypatch.setenv("KEEPSTREAM_API_TOKEN_FILE", str(tmp_path / "token"))
        assert run(["config", "show", "--json"]) == 0
        shown = capsys.readouterr().out
        assert "hunter2" not in shown
        row = next(row for row in json.loads(shown) if row["name"] == "api_token")
        assert (row["value"], row["origin"]) == ("***", "KEEPSTREAM_API_TOKEN_FILE")

    def test_json_lists_every_setting(self, capsys):
        assert run(["config", "show", "--json"]) == 0
        rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
        assert list(rows) == [item.name for item in catalogue()]
        assert rows["horizon"]["variable"] == "KEEPSTREAM_HORIZON"
        assert rows["horizon"]["value"] == rows["horizon"]["default"] == "28d"
        assert rows["horizon"]["origin"] is None

    def test_changed_leaves_the_others_out(self, capsys, monkeypatch):
        assert run(["config", "show", "--changed"]) == 0
        assert capsys.readouterr().out == "every setting has its default\n"
        monkeypatch.setenv("KEEPSTREAM_HORIZON", "14d")
        assert run(["config", "show", "--changed"]) == 0
        assert capsys.readouterr().out.splitlines()[:2] == [
            "[churn]",
            "horizon = 14d (from KEEPSTREAM_HORIZON; default 28d)",
        ]


class TestCheck:
    def test_defaults_are_fine(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setenv("KEEPSTREAM_DATA_DIR", str(tmp_path / "new" / "deep"))
        assert run(["config", "check"]) == 0
        assert capsys.readouterr().out.endswith("settings checked, 0 to mend, 0 notes\n")

    def test_an_unknown_name_is_an_error(self, capsys, monkeypatch):
        monkeypatch.setenv("KEEPSTREAM_HORIZN", "14d")
        assert run(["config", "check"]) == 1
        assert "did you mean KEEPSTREAM_HORIZON?" in capsys.readouterr().err

    def test_a_file_that_cannot_be_read_is_1(self, capsys, monkeypatch, tmp_path):
        monkeypatch.setenv("KEEPSTREAM_SSL_CAFILE", str(tmp_path / "none.pem"))
        assert run(["config", "check", "--json"]) == 1
        (found,) = json.loads(capsys.readouterr().out)
        assert found["names"] == ["ssl_cafile"]
        assert found["error"] is True

    def test_a_data_directory_that_cannot_be_made_is_1(self, tmp_path):
        (tmp_path / "file").write_text("")
        assert notes(data_dir=tmp_path / "file" / "data")["data_dir",].error

    @pytest.mark.parametrize(
        ("given", "names"),
        [
            ({"http_host": "0.0.0.0"}, ("http_host", "api_token")),  # noqa: S104
            ({"bootstrap_servers": "a:1", "clock": "event"}, ("clock",)),
            ({"bootstrap_servers": "a:1,b:1"}, ("replication_factor",)),
            ({"dedupe_window": "1m"}, ("dedupe_window", "allowed_lateness")),
            ({"sasl_password": "x"}, ("sasl_password", "security_protocol")),
            ({"hazard_step": "40d"}, ("hazard_step", "horizon")),
            ({"internal_retention": "9d"}, ("internal_retention", "event_retention")),
            (
                {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "u", "sasl_password": "x"},
                ("security_protocol", "sasl_mechanism"),
            ),
        ],
    )
    def test_what_is_unlikely_to_be_meant_is_a_note(self, given, names):
        assert names not in notes()
        assert notes(**given)[names].error is False

    def test_no_note_shows_a_secret(self):
        given = {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "u", "sasl_password": "hunter2"}
        assert "hunter2" not in str(notes(**given))


def test_no_command_takes_a_secret_as_an_option():
    """Command lines are seen by every user of the machine, and stay in the shell's history."""
    from streams.cli import LazyGroup, load_command

    secrets = {item.name.replace("_", "-") for item in catalogue() if item.kind is Secret}
    assert "api-token" in secrets
    for name in LazyGroup(name="keepstream").list_commands(None):
        command = load_command(name)
        for one in (command, *getattr(command, "commands", {}).values()):
            options = {word.lstrip("-") for option in one.params for word in option.opts}
            assert not options & secrets, name
