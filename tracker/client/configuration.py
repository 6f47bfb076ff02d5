"""The settings in force as a person may see them: each with its source, secrets as fingerprints."""

from __future__ import annotations

import json
import shlex
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput
from schemas.keyring import SECRET_SETTINGS, fingerprint, load_keys
from schemas.settings import BY_ENV, BY_NAME, configuration_fingerprint, read_env_file

if TYPE_CHECKING:
    from schemas.settings import Settings

_AUDIENCES = {setting: audience for audience, setting in SECRET_SETTINGS.items()}


def configuration(settings: Settings) -> dict[str, Any]:
    """Every setting with its value and source, the places, and the fingerprint of the files."""
    return {
        "settings": {name: _entry(settings, name) for name in settings},
        "paths": {**settings.places.as_variables(), "database": str(settings.database)},
        "fingerprint": configuration_fingerprint(settings.places),
        "warnings": list(settings.warnings),
    }


def configuration_lines(shown: dict[str, Any]) -> list[str]:
    """``configuration`` as lines ``name = value  (source)``, so that grep finds a setting whole."""
    lines = [
        f"{name} = {_text(entry['value'])}  ({entry['source']})"
        for name, entry in shown["settings"].items()
    ]
    lines += [f"paths.{name} = {path}" for name, path in shown["paths"].items()]
    return [*lines, f"fingerprint = {shown['fingerprint']}"]


def shell_exports(settings: Settings) -> list[str]:
    """The rendered environment file as lines that any POSIX shell evaluates to the same values."""
    lines = []
    for name, text in read_env_file(settings.places.env_file).items():
        setting = BY_ENV.get(name)
        # A path's ``$HOME`` was expanded when the settings were read; in quotes no shell would.
        value = settings.text(setting.name) if setting and setting.kind == "path" else text
        lines.append(f"export {name}={shlex.quote(value)}")
    return lines


def _entry(settings: Settings, name: str) -> dict[str, Any]:
    value, source = settings[name], settings.source(name)
    if BY_NAME[name].kind != "secret":
        return {"value": list(value) if isinstance(value, tuple) else value, "source": source}
    if value:
        return {"value": f"fingerprint {fingerprint(value)}", "source": source}
    if name not in _AUDIENCES:
        return {"value": "", "source": source}
    try:
        key = load_keys(settings, _AUDIENCES[name]).current
    except InvalidInput as error:
        return {"value": f"none: {error.message}", "source": str(settings.places.keyring)}
    shown = f"fingerprint {fingerprint(key.secret)}, key {key.kid}"
    return {"value": shown, "source": str(settings.places.keyring)}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
