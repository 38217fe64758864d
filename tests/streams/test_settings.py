from dataclasses import FrozenInstanceError
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from online_models.errors import InvalidParameterError
from streams.errors import SettingsError
from streams.settings import FOREVER, Secret, Settings, catalogue, duration, in_words, load, milliseconds
from streams.settings.values import read


class TestDurations:
    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("28d", timedelta(days=28)),
            ("1h30m", timedelta(minutes=90)),
            ("100ms", timedelta(milliseconds=100)),
            ("0.5s", timedelta(milliseconds=500)),
            (" 1 D ", timedelta(days=1)),
            ("0", timedelta(0)),
            ("forever", FOREVER),
        ],
    )
    def test_a_text_with_units_is_read(self, text, expected):
        assert duration(text) == expected

    @pytest.mark.parametrize("text", ["", "28", "d", "-1d", "1w", "1d x", "1e3s", "99999999999d"])
    def test_anything_else_is_refused_and_quoted(self, text):
        with pytest.raises(InvalidParameterError, match=repr(text) if text else "duration"):
            duration(text)

    @given(st.integers(min_value=0, max_value=10**14))
    def test_what_is_written_is_read_back(self, number):
        value = timedelta(milliseconds=number)
        assert duration(in_words(value)) == value
        assert milliseconds(value) == number


class TestSources:
    def test_the_command_line_wins_over_the_environment_over_the_file_over_the_default(self, tmp_path):
        file = tmp_path / "keepstream.toml"
        file.write_text('[churn]\nhorizon = "10d"\ncheck_interval = "2d"\nhazard_step = "3d"\n')
        environ = {"KEEPSTREAM_HORIZON": "20d", "KEEPSTREAM_CHECK_INTERVAL": "4d"}
        churn = load(file, environ, horizon="30d").churn
        assert (churn.horizon.days, churn.check_interval.days, churn.hazard_step.days) == (30, 4, 3)
        assert churn.landmark_interval.days == 7

    def test_the_environment_may_name_the_file(self, tmp_path):
        file = tmp_path / "keepstream.toml"
        file.write_text("[topics]\nevents_partitions = 12\n")
        assert load(environ={"KEEPSTREAM_CONFIG": str(file)}).topics.events_partitions == 12

    def test_toml_types_are_taken_as_they_are(self, tmp_path):
        file = tmp_path / "keepstream.toml"
        file.write_text("[engine]\naccept_gap = true\n[alerts]\nalert_budget = 3\nalert_threshold = 0.25\n")
        settings = load(file, {})
        assert settings.engine.accept_gap is True
        assert settings.alerts.alert_budget == 3.0
        assert settings.alerts.alert_threshold == 0.25

    def test_an_empty_variable_counts_as_not_set(self):
        assert load(environ={"KEEPSTREAM_EVENTS_PARTITIONS": ""}).topics.events_partitions == 4

    def test_an_option_that_was_not_given_changes_nothing(self):
        environ = {"KEEPSTREAM_BOOTSTRAP_SERVERS": "kafka:9092"}
        assert load(environ=environ, bootstrap_servers=None).broker.bootstrap_servers == "kafka:9092"

    @pytest.mark.parametrize(
        "name",
        [
            "KEEPSTREAM_SERVICE_HOST",
            "KEEPSTREAM_PORT",
            "KEEPSTREAM_PORT_6066_TCP_ADDR",
            "KEEPSTREAM_WORKER_SERVICE_PORT_HTTP",
        ],
    )
    def test_what_kubernetes_adds_for_a_service_called_keepstream_is_no_setting(self, name):
        assert load(environ={name: "tcp://10.0.0.1:6066"}) == Settings()


class TestMistakes:
    def test_an_unknown_variable_names_the_nearest_known_one(self):
        with pytest.raises(SettingsError, match="KEEPSTREAM_HORIZN; did you mean KEEPSTREAM_HORIZON"):
            load(environ={"KEEPSTREAM_HORIZN": "1d"})

    def test_an_unknown_variable_that_resembles_none_points_to_the_list(self):
        with pytest.raises(SettingsError, match="KEEPSTREAM_XQZ; `keepstream config show` lists"):
            load(environ={"KEEPSTREAM_XQZ": "1"})

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('[churm]\nhorizon = "1d"', r"unknown section \[churm\]; did you mean churn"),
            ('[churn]\nhorizont = "1d"', r"unknown setting horizont in \[churn\]; did you mean horizon"),
            ('[http]\nhorizon = "1d"', r"unknown setting horizon in \[http\]; it belongs into \[churn\]"),
            ("churn = 1", r"\[churn\] must be a table"),
            ("[churn", "is not TOML"),
        ],
    )
    def test_a_mistake_in_the_file_is_named(self, tmp_path, text, message):
        file = tmp_path / "keepstream.toml"
        file.write_text(text)
        with pytest.raises(SettingsError, match=message):
            load(file, {})

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(SettingsError, match=r"nowhere\.toml"):
            load(tmp_path / "nowhere.toml", {})

    def test_an_unknown_override_names_the_nearest(self):
        with pytest.raises(SettingsError, match="horizont; did you mean horizon"):
            load(environ={}, horizont="1d")

    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("EVENTS_PARTITIONS", "four", "a whole number is needed, not 'four'"),
            ("EVENTS_PARTITIONS", "0", "events_partitions must be at least 1, not 0"),
            ("ALERT_THRESHOLD", "1.5", "alert_threshold must be at most 1.0, not 1.5"),
            ("ACCEPT_GAP", "perhaps", "true or false is needed"),
            ("CLOCK", "sun", "one of event, live is needed"),
            ("HORIZON", "28", "a duration such as 28d"),
            ("SECURITY_PROTOCOL", "SASL_SSL", "sasl_username and sasl_password are needed"),
            ("SSL_KEYFILE", "/key.pem", "ssl_certfile and ssl_keyfile are needed together"),
            ("TOPIC_PREFIX", "a shop", "topic_prefix may hold letters"),
        ],
    )
    def test_a_value_that_does_not_fit_is_named_with_its_origin(self, name, value, message):
        with pytest.raises(SettingsError, match=message) as raised:
            load(environ={f"KEEPSTREAM_{name}": value})
        assert f"KEEPSTREAM_{name}" in str(raised.value)


class TestSecrets:
    def test_a_secret_is_never_shown(self):
        settings = load(environ={"KEEPSTREAM_SASL_PASSWORD": "hunter2", "KEEPSTREAM_API_TOKEN": "hunter3"})
        assert settings.broker.sasl_password.reveal() == "hunter2"
        assert "hunter" not in repr(settings) + str(settings) + in_words(settings.http.api_token)

    def test_a_secret_may_come_from_a_file(self, tmp_path):
        file = tmp_path / "password"
        file.write_text("hunter2\n")
        settings = load(environ={"KEEPSTREAM_SASL_PASSWORD_FILE": str(file)})
        assert settings.broker.sasl_password == Secret("hunter2")

    def test_only_a_secret_may_come_from_a_file(self, tmp_path):
        with pytest.raises(SettingsError, match="unknown setting KEEPSTREAM_HORIZON_FILE"):
            load(environ={"KEEPSTREAM_HORIZON_FILE": str(tmp_path)})

    def test_a_secret_given_twice_is_refused(self, tmp_path):
        environ = {"KEEPSTREAM_API_TOKEN": "a", "KEEPSTREAM_API_TOKEN_FILE": str(tmp_path / "b")}
        with pytest.raises(SettingsError, match="are both set"):
            load(environ=environ)

    def test_a_secret_that_is_no_text_is_refused_without_being_shown(self, tmp_path):
        file = tmp_path / "keepstream.toml"
        file.write_text("[http]\napi_token = 12345\n")
        with pytest.raises(SettingsError, match="api_token: a text is needed") as raised:
            load(file, {})
        assert "12345" not in str(raised.value)


class TestCatalogue:
    def test_names_are_unique_over_all_sections(self):
        names = [item.name for item in catalogue()]
        assert len(names) == len(set(names))

    @pytest.mark.parametrize("item", list(catalogue()), ids=lambda item: item.name)
    def test_every_setting_has_a_help_text_and_a_default_that_is_read_back(self, item):
        assert item.help.endswith(".")
        assert item.help[0].isupper() or item.help.startswith("event:")
        if not isinstance(item.default, Secret) and item.default is not None:
            assert read(item.kind, in_words(item.default)) == item.default

    def test_settings_cannot_be_changed(self):
        with pytest.raises(FrozenInstanceError):
            Settings().churn.horizon = timedelta(0)

    def test_a_path_may_start_at_home(self):
        assert load(environ={"KEEPSTREAM_DATA_DIR": "~/x"}).engine.data_dir == Path("~/x").expanduser()
