"""Every setting, declared once, and the values in force with where each came from.

Standard library and PyYAML only: each command reads its settings first, and pydantic alone would
double the time that a short command takes.

Precedence: default < rendered ``etc/mahavishnu.yaml``, ``config.yaml`` and environment file <
``etc/local.yaml`` < environment.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from schemas.errors import InvalidInput
from schemas.places import Places

Kind = Literal["text", "flag", "count", "number", "path", "list", "secret", "url"]

TRUE = {"true", "1", "yes", "on"}
FALSE = {"false", "0", "no", "off"}


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting.

    Args:
        name: ``mahavishnu.<path in etc/mahavishnu.yaml>`` or ``session_buddy.<path in config.yaml>``.
        env: the environment variable that overrides it.
        kind: how its value is read; a ``count`` is a whole number, a ``number`` may have a fraction,
            a ``url`` is scheme, host and port, or empty.
        default: the value when nobody says anything.
        guide: the section of the guide that names it.
        help: what it does, with its unit.
        low: the least number allowed.
        high: the greatest number allowed.
        choices: the texts allowed.
    """

    name: str
    env: str
    kind: Kind
    default: Any
    guide: str
    help: str
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")

SETTINGS: tuple[Setting, ...] = (
    Setting("mahavishnu.auth_enabled", "MAHAVISHNU_AUTH_ENABLED", "flag", True, "1.3", "ask for a token on every route but /health"),
    Setting("mahavishnu.auth_secret", "MAHAVISHNU_AUTH_SECRET", "secret", "", "1.3", "signing key, at least 32 bytes; empty: the key ring"),
    Setting("mahavishnu.auth_algorithm", "MAHAVISHNU_AUTH_ALGORITHM", "text", "HS256", "3 step 7.1", "signing algorithm of tokens", choices=("HS256", "HS384", "HS512")),
    Setting("mahavishnu.auth_expire_minutes", "MAHAVISHNU_AUTH_EXPIRE_MINUTES", "count", 60, "3 step 7.1", "minutes until a token expires", low=1, high=43200),
    Setting("mahavishnu.host", "MAHAVISHNU_HOST", "text", "127.0.0.1", "2.1", "address that the mahavishnu server listens on"),
    Setting("mahavishnu.port", "MAHAVISHNU_PORT", "count", 3000, "2.1", "port that the mahavishnu server listens on", low=1, high=65535),
    Setting("mahavishnu.names", "MAHAVISHNU_NAMES", "list", (), "3 step 7", "other names and addresses that clients reach the mahavishnu server by"),
    Setting("mahavishnu.tls.cert", "MAHAVISHNU_TLS_CERT", "path", "", "3 step 7", "certificate of the mahavishnu server and those between it and its CA (PEM); empty: no TLS"),
    Setting("mahavishnu.tls.key", "MAHAVISHNU_TLS_KEY", "path", "", "3 step 7", "private key of the certificate (PEM, 0600)"),
    Setting("mahavishnu.tls.insecure", "MAHAVISHNU_TLS_INSECURE", "flag", False, "3 step 7", "let tokens for the mahavishnu server cross a network in clear"),
    Setting("mahavishnu.url", "MAHAVISHNU_URL", "url", "", "3 step 7", "where clients find the mahavishnu server, such as https://host:port; empty: on this machine"),
    Setting("mahavishnu.ca_file", "MAHAVISHNU_CA_FILE", "path", "", "3 step 7", "CA that signed the certificate at the url (PEM); empty: those of the system"),
    Setting("mahavishnu.token_file", "MAHAVISHNU_TOKEN_FILE", "path", "", "3 step 7", "file with the token for the mahavishnu server (0600); empty: made from the key ring"),
    Setting("mahavishnu.notify_urls", "MAHAVISHNU_NOTIFY_URLS", "secret", "", "8.4", "where notify.send tells people, as Apprise writes it: mailtos://..., slack://...; more than one with spaces between"),
    Setting("mahavishnu.log_level", "MAHAVISHNU_LOG_LEVEL", "text", "INFO", "2.2", "least level that is logged", choices=LEVELS),
    Setting("mahavishnu.log_format", "MAHAVISHNU_LOG_FORMAT", "text", "logfmt", "5.4", "shape of a log line", choices=("logfmt", "json")),
    Setting("mahavishnu.debug", "MAHAVISHNU_DEBUG", "flag", False, "2.2", "show tracebacks"),
    Setting("mahavishnu.trace_sessions", "MAHAVISHNU_TRACE_SESSIONS", "flag", False, "6.2", "log each step of a session's life as TRACE"),
    Setting("mahavishnu.repos", "MAHAVISHNU_REPOS", "list", (), "3 step 4", "repositories that %repos and list-repos show"),
    Setting("mahavishnu.session.enabled", "MAHAVISHNU_SESSION_ENABLED", "flag", True, "2.3", "record shell sessions and runs"),
    Setting("mahavishnu.session.checkpoint_interval", "MAHAVISHNU_SESSION_CHECKPOINT_INTERVAL", "count", 60, "2.3", "seconds between two checkpoints of a session", low=10, high=600),
    Setting("mahavishnu.observability.metrics_enabled", "PROMETHEUS_METRICS_ENABLED", "flag", False, "2.2", "serve metrics on the metrics port"),
    Setting("mahavishnu.observability.metrics_port", "PROMETHEUS_METRICS_PORT", "count", 9464, "2.2", "port of the metrics; 9090 is Prometheus's own", low=1, high=65535),
    Setting("mahavishnu.observability.metrics_path", "PROMETHEUS_METRICS_PATH", "text", "/metrics", "2.2", "path of the metrics"),
    Setting("mahavishnu.observability.tracing_enabled", "MAHAVISHNU_TRACING_ENABLED", "flag", False, "2.3", "send traces"),
    Setting("mahavishnu.observability.otlp_endpoint", "OTEL_EXPORTER_OTLP_ENDPOINT", "text", "http://localhost:4317", "2.2", "where traces go"),
    Setting("mahavishnu.observability.otlp_protocol", "OTEL_EXPORTER_OTLP_PROTOCOL", "text", "", "2.2", "grpc or http/protobuf; empty: gRPC on port 4317, HTTP elsewhere"),
    Setting("mahavishnu.observability.traces_exporter", "OTEL_TRACES_EXPORTER", "text", "", "2.2", "otlp sends traces, none does not; empty: as tracing_enabled says"),
    Setting("mahavishnu.observability.service_name", "OTEL_SERVICE_NAME", "text", "", "2.2", "name of the server in traces; empty: its own"),
    Setting("mahavishnu.terminal.enabled", "MAHAVISHNU_TERMINAL_ENABLED", "flag", False, "2.3", "manage terminals of admin shells"),
    Setting("mahavishnu.terminal.default_columns", "MAHAVISHNU_TERMINAL_DEFAULT_COLUMNS", "count", 120, "2.3", "columns of a terminal", low=20, high=1000),
    Setting("mahavishnu.terminal.default_rows", "MAHAVISHNU_TERMINAL_DEFAULT_ROWS", "count", 40, "2.3", "rows of a terminal", low=5, high=1000),
    Setting("mahavishnu.terminal.adapter_preference", "MAHAVISHNU_TERMINAL_ADAPTER_PREFERENCE", "text", "auto", "9.5", "terminal adapter", choices=("auto", "iterm2", "mcpretentious")),
    Setting("mahavishnu.event_buffer.enabled", "ONEIRIC_EVENT_BUFFER_ENABLED", "flag", True, "2.1", "send events in batches"),
    Setting("mahavishnu.event_buffer.max_size", "ONEIRIC_EVENT_BUFFER_MAX_SIZE", "count", 1000, "2.1", "events in a batch at the most", low=1, high=100000),
    Setting("mahavishnu.event_buffer.flush_interval", "ONEIRIC_EVENT_BUFFER_FLUSH_INTERVAL", "number", 5.0, "9.5", "seconds that an event may wait for its batch", low=0.05, high=3600),
    Setting("session_buddy.host", "SESSION_BUDDY_HOST", "text", "127.0.0.1", "2.4", "address that the tracker listens on"),
    Setting("session_buddy.port", "SESSION_BUDDY_PORT", "count", 8678, "2.4", "port that the tracker listens on", low=1, high=65535),
    Setting("session_buddy.names", "SESSION_BUDDY_NAMES", "list", (), "3 step 7", "other names and addresses that clients reach the tracker by"),
    Setting("session_buddy.tls.cert", "SESSION_BUDDY_TLS_CERT", "path", "", "3 step 7", "certificate of the tracker and those between it and its CA (PEM); empty: no TLS"),
    Setting("session_buddy.tls.key", "SESSION_BUDDY_TLS_KEY", "path", "", "3 step 7", "private key of the certificate (PEM, 0600)"),
    Setting("session_buddy.tls.insecure", "SESSION_BUDDY_TLS_INSECURE", "flag", False, "3 step 7", "let tokens for the tracker cross a network in clear"),
    Setting("session_buddy.url", "SESSION_BUDDY_URL", "url", "", "3 step 7", "where clients find the tracker, such as https://host:port; empty: on this machine"),
    Setting("session_buddy.ca_file", "SESSION_BUDDY_CA_FILE", "path", "", "3 step 7", "CA that signed the certificate at the url (PEM); empty: those of the system"),
    Setting("session_buddy.token_file", "SESSION_BUDDY_TOKEN_FILE", "path", "", "3 step 7", "file with the token for the tracker (0600); empty: made from the key ring"),
    Setting("session_buddy.secret", "SESSION_BUDDY_SECRET", "secret", "", "1.3", "signing key, at least 32 bytes; empty: the key ring"),
    Setting("session_buddy.db_path", "SESSION_BUDDY_DB_PATH", "path", "", "2.1", "database file; empty: sessions.db in the tracker's home"),
    Setting("session_buddy.log_level", "SESSION_BUDDY_LOG_LEVEL", "text", "INFO", "2.2", "least level that is logged", choices=LEVELS),
    Setting("session_buddy.log_format", "SESSION_BUDDY_LOG_FORMAT", "text", "logfmt", "5.4", "shape of a log line", choices=("logfmt", "json")),
    Setting("session_buddy.cache_size", "SESSION_BUDDY_CACHE_SIZE", "count", 1000, "6.1", "sessions kept in memory, of the lists asked for last; 0: none", low=0, high=1000000),
    Setting("session_buddy.semantic_search.enabled", "SESSION_BUDDY_SEMANTIC_SEARCH", "flag", True, "2.1", "search by meaning"),
    Setting("session_buddy.semantic_search.model", "SESSION_BUDDY_EMBEDDING_MODEL", "text", "all-MiniLM-L6-v2", "2.1", "embedding model"),
    Setting("session_buddy.semantic_search.similarity_threshold", "SESSION_BUDDY_SIMILARITY_THRESHOLD", "number", 0.0, "2.3", "hits below it are left out; 0: only ranked", low=0, high=1),
    Setting("session_buddy.session_tracking.auto_init", "SESSION_BUDDY_AUTO_INIT", "flag", True, "2.3", "note branch and commit when a session starts in a git repository"),
    Setting("session_buddy.session_tracking.auto_cleanup", "SESSION_BUDDY_AUTO_CLEANUP", "flag", True, "2.3", "mark sessions that stopped sending checkpoints as abandoned"),
)  # fmt: skip

_ANEW = "remove the file: the next deploy makes a new one"
BY_NAME: dict[str, Setting] = {setting.name: setting for setting in SETTINGS}
BY_ENV: dict[str, Setting] = {setting.env: setting for setting in SETTINGS}
_PREFIXES = ("MAHAVISHNU_", "SESSION_BUDDY_")
_PLACES_VARIABLES = {
    "MAHAVISHNU_HOME",
    "MAHAVISHNU_OPS",
    "SESSION_BUDDY_HOME",
    "SESSION_BUDDY_PATH",
    "MAHAVISHNU_TOKEN",
    "MAHAVISHNU_AUTOMATION_TOKEN",
}


@dataclass(frozen=True, slots=True)
class Value:
    """A value in force and where it came from: ``default``, ``file:line`` or ``$VARIABLE``."""

    value: Any
    source: str


class Settings(Mapping[str, Any]):
    """The settings in force, by their full names.

    Args:
        values: one entry for each of ``SETTINGS``.
        places: the deployment that they belong to.
        warnings: unknown variables and keys, each with the nearest known one.
    """

    def __init__(
        self, values: dict[str, Value], places: Places, warnings: tuple[str, ...] = ()
    ) -> None:
        self._values = values
        self.places = places
        self.warnings = warnings

    @classmethod
    def load(
        cls, places: Places | None = None, environ: Mapping[str, str] = os.environ
    ) -> Settings:
        """Read defaults, files and environment.

        Raises:
            InvalidInput: a value of the wrong type or out of bounds, with file and line or variable.
        """
        places = places or Places.of_this_user(environ)
        values = {setting.name: Value(setting.default, "default") for setting in SETTINGS}
        warnings: list[str] = []
        for path, prefix in (
            (places.mahavishnu_config, "mahavishnu"),
            (places.tracker_config, "session_buddy"),
        ):
            with _rendered():
                values |= _from_yaml(path, prefix, warnings)
        env_file = places.env_file
        with _rendered():
            values |= _from_variables(read_env_file(env_file), str(env_file), warnings)
        values |= _from_yaml(places.local_config, "", warnings)
        values |= _from_variables(environ, "", warnings)
        return cls(values, places, tuple(warnings))

    def __getitem__(self, name: str) -> Any:
        return self._values[name].value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def source(self, name: str) -> str:
        """Where the value came from: ``default``, ``file:line`` or ``$VARIABLE``."""
        return self._values[name].source

    def text(self, name: str) -> str:
        """A setting of kind text, path or secret."""
        return str(self[name])

    def flag(self, name: str) -> bool:
        """A setting of kind flag."""
        return bool(self[name])

    def count(self, name: str) -> int:
        """A setting of kind count."""
        return int(self[name])

    def number(self, name: str) -> float:
        """A setting of kind number or count."""
        return float(self[name])

    @property
    def database(self) -> Path:
        """The tracker's database file."""
        return Path(self.text("session_buddy.db_path") or self.places.database)

    @property
    def tracker_url(self) -> str:
        """Base address of the tracker, as a client reaches it."""
        return self.url("session_buddy")

    @property
    def mahavishnu_url(self) -> str:
        """Base address of the mahavishnu server, as a client reaches it."""
        return self.url("mahavishnu")

    def url(self, server: str) -> str:
        """Base address of ``session_buddy`` or ``mahavishnu``: where its url says, else here."""
        return self.text(f"{server}.url") or self.local_url(server)

    def local_url(self, server: str) -> str:
        """Base address of this machine's own ``session_buddy`` or ``mahavishnu``."""
        return base_url(
            self.text(f"{server}.host"),
            self.count(f"{server}.port"),
            tls=bool(self.text(f"{server}.tls.cert")),
        )

    def as_tree(self) -> dict[str, Any]:
        """Nested values for templates; secrets are left out."""
        tree: dict[str, Any] = {}
        for name, entry in self._values.items():
            if BY_NAME[name].kind == "secret":
                continue
            *parents, leaf = name.split(".")
            node = tree
            for parent in parents:
                node = node.setdefault(parent, {})
            node[leaf] = list(entry.value) if isinstance(entry.value, tuple) else entry.value
        return tree


def base_url(host: str, port: int, *, tls: bool = False) -> str:
    """The address a client on the same machine uses for a server that listens on ``host``."""
    host = near_host(host)
    scheme = "https" if tls else "http"
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def near_host(host: str) -> str:
    """What a client on the same machine connects to for a server that listens on ``host``."""
    if host in {"0.0.0.0", ""}:  # noqa: S104 -- compared, not bound
        return "127.0.0.1"
    return "::1" if host == "::" else host


def configuration_fingerprint(places: Places) -> str:
    """A hash over the content of every configuration file that a server reads when it starts.

    A server reports it in ``/health``; ``service.ensure`` compares it with the files as they are.
    """
    digest = hashlib.sha256()
    for path in (
        places.mahavishnu_config,
        places.tracker_config,
        places.env_file,
        places.local_config,
        places.keyring,
    ):
        content = path.read_bytes() if path.is_file() else b""
        digest.update(len(content).to_bytes(8, "big") + content)
    return digest.hexdigest()[:16]


def read_env_file(path: Path) -> dict[str, str]:
    """The ``KEY=value`` lines of an environment file, quoted as systemd and shells quote.

    Raises:
        InvalidInput: it is not text, or has a line that is neither empty, a comment nor an
            assignment.
    """
    if not path.is_file():
        return {}
    try:
        content = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"cannot be read: {error}", where=str(path)) from None
    variables: dict[str, str] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        words = _shell_words(line, f"{path}:{number}")
        if not words:
            continue
        key, equals, value = words[0].partition("=")
        if not equals or len(words) > 1 or not key.isidentifier():
            raise InvalidInput(f"{line!r} is not KEY=value", where=f"{path}:{number}")
        variables[key] = value
    return variables


@contextlib.contextmanager
def _rendered() -> Iterator[None]:
    """Tell of a file that a deploy has made that another one can make it anew."""
    try:
        yield
    except InvalidInput as error:
        hint = f"{error.hint}; or {_ANEW}" if error.hint else _ANEW
        raise type(error)(error.message, where=error.where, hint=hint) from None


def _shell_words(line: str, where: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise InvalidInput(f"{line!r}: {error}", where=where) from None
    return words[1:] if words[:1] == ["export"] else words


def _from_variables(
    variables: Mapping[str, str], file: str, warnings: list[str]
) -> dict[str, Value]:
    values: dict[str, Value] = {}
    for name, text in variables.items():
        setting = BY_ENV.get(name)
        source = f"{file} {name}".strip() if file else f"${name}"
        if setting is not None:
            values[setting.name] = Value(read_value(setting, text, source), source)
        elif name.startswith(_PREFIXES) and name not in _PLACES_VARIABLES:
            warnings.append(_unknown(f"variable {name}", name, list(BY_ENV)))
    return values


def _from_yaml(path: Path, prefix: str, warnings: list[str]) -> dict[str, Value]:
    if not path.is_file():
        return {}
    from schemas.source import load_yaml

    document = load_yaml(path)
    if document.data is None:
        return {}
    if not isinstance(document.data, dict):
        raise InvalidInput("settings are a mapping of keys to values", where=f"{path}:1")
    values: dict[str, Value] = {}
    for keys, value in _leaves(document.data):
        name = ".".join(filter(None, (prefix, *keys)))
        where = document.where(*keys)
        if name in BY_NAME:
            values[name] = Value(read_value(BY_NAME[name], value, where), where)
        else:
            warnings.append(f"{where}: " + _unknown(f"key {'.'.join(keys)}", name, list(BY_NAME)))
    return values


def _leaves(
    tree: Mapping[str, Any], above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in tree.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, (*above, str(key)))
        else:
            yield (*above, str(key)), value


def _unknown(what: str, name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"{what} is not known" + (f"; did you mean {near[0]}?" if near else "")


def read_value(setting: Setting, value: Any, source: str) -> Any:
    """The value of a setting from text or YAML, checked.

    Raises:
        InvalidInput: wrong type or out of bounds; a secret's value is not quoted.
    """
    shown = "the value" if setting.kind == "secret" else repr(value)
    try:
        read = _READERS[setting.kind](value)
    except (TypeError, ValueError):
        raise InvalidInput(
            f"{shown} is not a {setting.kind} for {setting.name}", where=source, hint=setting.help
        ) from None
    if setting.choices and read not in setting.choices:
        raise InvalidInput(
            f"{shown} is not allowed for {setting.name}",
            where=source,
            hint=f"write one of {', '.join(setting.choices)}",
        )
    low = setting.low is not None and read < setting.low
    high = setting.high is not None and read > setting.high
    if low or high:
        raise InvalidInput(
            f"{shown} is out of bounds for {setting.name}",
            where=source,
            hint=f"write a number from {setting.low:g} to {setting.high:g}",
        )
    return read


def _read_flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    text = str(value).strip().lower()
    if text not in TRUE | FALSE:
        raise ValueError(text)
    return text in TRUE


def _read_text(value: Any) -> str:
    if isinstance(value, (list, bool)) or value is None:
        raise TypeError
    return str(value)


def _read_list(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return tuple(_read_text(part) for part in value)


def _read_url(value: Any) -> str:
    from urllib.parse import urlsplit

    text = _read_text(value).rstrip("/")
    if not text:
        return ""
    url = urlsplit(text)
    # The port is asked for because it is checked only then.
    if url.scheme not in {"http", "https"} or not url.hostname or url.port == 0:
        raise ValueError(text)
    if url.path or url.query or url.fragment or "@" in url.netloc:
        raise ValueError(text)
    return text


def _read_number(convert: type) -> Callable[[Any], Any]:
    def read(value: Any) -> Any:
        if isinstance(value, bool) or (convert is int and isinstance(value, float)):
            raise TypeError
        return convert(value)

    return read


_READERS: dict[Kind, Callable[[Any], Any]] = {
    "text": _read_text,
    "secret": _read_text,
    "path": lambda value: os.path.expandvars(Path(_read_text(value)).expanduser()) if value else "",
    "flag": _read_flag,
    "count": _read_number(int),
    "number": _read_number(float),
    "list": _read_list,
    "url": _read_url,
}
