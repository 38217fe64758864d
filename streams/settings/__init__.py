"""Settings: frozen sections, read once from a TOML file and the environment, and passed on explicitly.

Later sources win: default, file (`--config` or `KEEPSTREAM_CONFIG`), environment (`KEEPSTREAM_<NAME>`),
command line.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, NamedTuple, get_type_hints

from online_models.errors import InvalidParameterError
from streams.errors import SettingsError
from streams.settings.section import Section
from streams.settings.sections import Settings
from streams.settings.values import FOREVER, Secret, duration, in_words, milliseconds, read

__all__ = [
    "FOREVER",
    "Secret",
    "Setting",
    "Settings",
    "catalogue",
    "duration",
    "in_words",
    "load",
    "milliseconds",
    "origins",
]

PREFIX: Final = "KEEPSTREAM_"
CONFIG: Final = PREFIX + "CONFIG"

_SERVICE_LINK: Final = re.compile(r"(^|_)(SERVICE_(HOST|PORT)|PORT)(_.*)?$")
"""What Kubernetes and Docker add for a service called keepstream: no setting of ours."""


class Setting(NamedTuple):
    """One setting as documentation needs it."""

    section: str
    name: str
    kind: Any
    default: object
    help: str
    at_least: Any
    at_most: Any

    @property
    def variable(self) -> str:
        """Name of its environment variable."""
        return PREFIX + self.name.upper()


class _Given(NamedTuple):
    """A raw value and where it came from."""

    raw: object
    origin: str


def catalogue() -> Iterator[Setting]:
    """Yield every setting, section by section.

    >>> next(catalogue()).variable
    'KEEPSTREAM_BOOTSTRAP_SERVERS'
    """
    for section in fields(Settings):
        cls = _class_of(section.name)
        kinds = get_type_hints(cls)
        for item in fields(cls):  # type: ignore[arg-type]  # every section is a dataclass
            yield Setting(section.name, item.name, kinds[item.name], item.default, **item.metadata)


def load(path: Path | None = None, environ: Mapping[str, str] | None = None, **overrides: object) -> Settings:
    """Read the settings.

    Parameters
    ----------
    path
        TOML file with a table per section; None takes the file that `KEEPSTREAM_CONFIG` names, if any.
    environ
        Environment variables; None takes those of the process. An empty variable counts as not set. A secret
        may come from a file named by `KEEPSTREAM_<NAME>_FILE`.
    overrides
        Values by setting name, as from the command line; None leaves the setting alone.

    Raises
    ------
    SettingsError
        If a name is unknown (the message names the nearest known one) or a value cannot be read or is out of
        range (the message names the value and where it came from).

    Examples
    --------
    >>> load(environ={"KEEPSTREAM_HORIZON": "14d"}).churn.horizon.days
    14
    """
    known = {item.name: item for item in catalogue()}
    given = _given(path, os.environ if environ is None else environ, known)
    given.update(_from_overrides(overrides, known))
    return _build(given, known)


def origins(path: Path | None = None, environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return where the values of settings come from that file or environment give, by name of the setting.

    Parameters and errors are those of `load`.

    >>> origins(environ={"KEEPSTREAM_HORIZON": "14d"})
    {'horizon': 'KEEPSTREAM_HORIZON'}
    """
    known = {item.name: item for item in catalogue()}
    given = _given(path, os.environ if environ is None else environ, known)
    return {name: one.origin for name, one in given.items()}


def _given(path: Path | None, environ: Mapping[str, str], known: Mapping[str, Setting]) -> dict[str, _Given]:
    given: dict[str, _Given] = {}
    file = path or (Path(environ[CONFIG]).expanduser() if environ.get(CONFIG) else None)
    if file is not None:
        given.update(_from_file(file, known))
    given.update(_from_environment(environ, known))
    return given


def _from_file(path: Path, known: Mapping[str, Setting]) -> dict[str, _Given]:
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"cannot read the settings file {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"the settings file {path} is not TOML: {error}") from error
    sections = [section.name for section in fields(Settings)]
    given = {}
    for section, table in tables.items():
        if section not in sections:
            raise SettingsError(f"{path}: unknown section [{section}]{_nearest(section, sections)}")
        if not isinstance(table, dict):
            raise SettingsError(f"{path}: [{section}] must be a table, not {table!r}")
        names = [item.name for item in known.values() if item.section == section]
        for name, raw in table.items():
            if name not in names:
                raise SettingsError(
                    f"{path}: unknown setting {name} in [{section}]{_elsewhere(name, names, known)}"
                )
            given[name] = _Given(raw, f"{path}: [{section}] {name}")
    return given


def _elsewhere(name: str, names: list[str], known: Mapping[str, Setting]) -> str:
    if name in known:
        return f"; it belongs into [{known[name].section}]"
    return _nearest(name, names)


def _from_environment(environ: Mapping[str, str], known: Mapping[str, Setting]) -> dict[str, _Given]:
    given = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        name = variable.removeprefix(PREFIX).lower()
        secret = name.removesuffix("_file")
        if variable == CONFIG or not environ[variable]:
            continue
        if name in known:
            given[name] = _Given(environ[variable], variable)
        elif secret in known and known[secret].kind is Secret:
            if environ.get(PREFIX + secret.upper()):
                raise SettingsError(
                    f"{variable} and {PREFIX}{secret.upper()} are both set; one of them is needed"
                )
            given[secret] = _Given(_secret_in(Path(environ[variable]), variable), variable)
        elif not _SERVICE_LINK.search(variable.removeprefix(PREFIX)):
            variables = [item.variable for item in known.values()]
            raise SettingsError(f"unknown setting {variable}{_nearest(variable, variables)}")
    return given


def _secret_in(path: Path, variable: str) -> str:
    try:
        return path.expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{variable}: cannot read {path}: {error}") from error


def _from_overrides(overrides: Mapping[str, object], known: Mapping[str, Setting]) -> dict[str, _Given]:
    for name in overrides:
        if name not in known:
            raise SettingsError(f"unknown setting {name}{_nearest(name, list(known))}")
    return {name: _Given(raw, name) for name, raw in overrides.items() if raw is not None}


def _build(given: Mapping[str, _Given], known: Mapping[str, Setting]) -> Settings:
    values: dict[str, dict[str, object]] = {section.name: {} for section in fields(Settings)}
    for name, (raw, origin) in given.items():
        try:
            values[known[name].section][name] = read(known[name].kind, raw)
        except InvalidParameterError as error:
            raise SettingsError(f"{origin}: {error}") from error
    return Settings(**{section: _section(section, values[section], given) for section in values})  # type: ignore[arg-type]  # built by name


def _section(name: str, values: Mapping[str, object], given: Mapping[str, _Given]) -> Section:
    try:
        return _class_of(name)(**values)
    except InvalidParameterError as error:
        origins = ", ".join(given[key].origin for key in values if re.search(rf"\b{key}\b", str(error)))
        raise SettingsError(f"{origins or '[' + name + ']'}: {error}") from error


def _class_of(section: str) -> type[Section]:
    found: type[Section] = get_type_hints(Settings)[section]
    return found


def _nearest(name: str, known: list[str]) -> str:
    # Without the prefix, which all of them share and which would make everything look alike.
    by_name = {candidate.removeprefix(PREFIX): candidate for candidate in known}
    close = get_close_matches(name.removeprefix(PREFIX), by_name, n=1)
    return f"; did you mean {by_name[close[0]]}?" if close else "; `keepstream config show` lists all of them"
