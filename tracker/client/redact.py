"""Takes out of a text what looks like a secret, before anything is written to disk.

Works by shape alone: names of options, variables and fields, and the known forms of tokens. Values
that somebody declared secret are ``orchestrator.redact``'s business.
"""

from __future__ import annotations

import re
from typing import Any

MASK = "********"

# Anchored where a name begins, so that a long run of letters is looked at once and not from each of
# its positions: a text of any length costs time in proportion to its length.
_START = r"(?<![\w.-])"
_NAME = (
    r"(?:[\w.-]*(?:password|passwd|passphrase|secret|token|credentials?|api[_-]?key|access[_-]?key"
    r"|secret[_-]?key|private[_-]?key|signing[_-]?key|encryption[_-]?key|connection[_-]?string)"
    r"|[\w.-]*[_.-](?:pwd|pass)|pass)"
)
_QUOTED = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_VALUE = rf"(?P<value>{_QUOTED}|\$\{{[^}}\s]*\}}|[^\s\"',;&|)}}\]]+)"

# A reference to a secret is worth reading and gives nothing away; neither does an empty value.
_HARMLESS = re.compile(
    r"""["']?(?:|\$\w+|\$\{[^}]*\}|\$\(.*|\{\{.*|%\w+%|None|null|true|false|True|False)["']?""",
    re.DOTALL,
)

_TOKEN_FORMS = (
    r"gh[opsur]_[A-Za-z0-9]{30,}|github_pat_\w{22,}",  # GitHub
    r"gl(?:pat|dt|rt|ptt|oas)-[\w-]{20,}",  # GitLab
    r"xox[abeprs]-[\w-]{10,}|xapp-[\w-]{10,}",  # Slack
    r"(?<=hooks\.slack\.com/services/)[\w/]+",  # Slack incoming webhook
    r"\b(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}\b",  # AWS access key id
    r"\bAIza[\w-]{35}",  # Google API key
    r"\bya29\.[\w-]{20,}",  # Google OAuth access token
    r"\b[rsw]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9]{16,}",  # Stripe
    r"\bsk-[A-Za-z0-9_-]{20,}",  # OpenAI, Anthropic
    r"\bnpm_[A-Za-z0-9]{36}|\bpypi-[\w-]{16,}",  # package registries
    r"\bhf_[A-Za-z0-9]{30,}",  # Hugging Face
    r"\bdo[op]_v1_[a-f0-9]{64}",  # DigitalOcean
    r"\bhv[sb]\.[\w-]{20,}",  # HashiCorp Vault
    r"\bSG\.[\w-]{16,}\.[\w-]{16,}",  # SendGrid
    r"\bglsa_[A-Za-z0-9]{32}_[a-f0-9]{8}",  # Grafana
    r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*",  # JSON Web Token
    r"\bAGE-SECRET-KEY-1[A-Z0-9]{20,}",  # age
)
_TOKENS = re.compile("|".join(_TOKEN_FORMS))

_PEM = re.compile(
    r"(-----BEGIN (?P<kind>[A-Z ]*PRIVATE KEY(?: BLOCK)?)-----)"
    r".*?(-----END (?P=kind)-----|\Z)",
    re.DOTALL,
)

_RULES: tuple[re.Pattern[str], ...] = (
    # scheme://user:password@host
    re.compile(
        r"(?P<keep>(?<![\w+.-])[a-z][a-z0-9+.-]{0,20}://[^\s/:@\"']*:)(?P<value>[^\s@\"']+)(?=@)",
        re.IGNORECASE,
    ),
    # Authorization: Bearer ..., Proxy-Authorization: Basic ..., also as a field of a dictionary
    re.compile(
        r"(?P<keep>\b(?:authorization|x-[\w-]{0,40}(?:key|token|secret|auth))[\"']?\s*[:=]\s*"
        r"[\"']?(?:(?:bearer|basic|digest|token|negotiate|apikey)\s+)?)(?P<value>[^\s\"',]+)",
        re.IGNORECASE,
    ),
    re.compile(r"(?P<keep>\bcookie[\"']?\s*[:=]\s*[\"']?)(?P<value>[^\"'\n]+)", re.IGNORECASE),
    # Bearer alone; prose about a bearer has neither digits nor such long words
    re.compile(
        r"(?P<keep>\bBearer\s+)(?P<value>(?=[\w.~+/-]*\d|\S{20})[\w.~+/=-]{8,})", re.IGNORECASE
    ),
    # name=value, "name": "value", os.environ["NAME"] = "value", ?name=value&
    re.compile(rf"(?P<keep>{_START}{_NAME}\b[\"']?\]?\s*(?:=|:(?!/))\s*){_VALUE}", re.IGNORECASE),
    # ?sig=..., ?key=...: too short to be told from ordinary names anywhere but in a query
    re.compile(
        r"(?P<keep>[?&](?:key|sig|signature|code|auth)=)(?P<value>[^\s&#\"']+)", re.IGNORECASE
    ),
    # --password value, --db-password value, -password value
    re.compile(rf"(?P<keep>(?<!\S)--?{_NAME}\s+)(?!-){_VALUE}", re.IGNORECASE),
    # curl -u user:password, --user user:password, --proxy-user user:password
    re.compile(
        r"(?P<keep>(?<!\S)(?:-u|--(?:proxy-)?user)[= ]?[\"']?[^\s:\"']+:)(?P<value>[^\s\"']+)"
    ),
    # mysql -pVALUE, sshpass -p VALUE, redis-cli -a VALUE, openssl -passin pass:VALUE
    re.compile(
        r"(?P<keep>\b(?:mysql(?:dump|admin)?|mariadb)\b[^|;\n]{0,200}?\s-p)(?P<value>[^\s-]\S*)"
    ),
    re.compile(rf"(?P<keep>\bsshpass\s+-p\s*){_VALUE}"),
    re.compile(rf"(?P<keep>\bredis-cli\b[^|;\n]{{0,200}}?\s-a\s+){_VALUE}"),
    re.compile(r"(?P<keep>(?<!\S)-pass(?:in|out)?\s+pass:)(?P<value>\S+)"),
    # echo VALUE | docker login --password-stdin
    re.compile(
        rf"(?P<keep>\b(?:echo|printf)\s+(?:-\w+\s+)?){_VALUE}"
        r"(?=\s*\|[^|\n]{0,200}--password-stdin)"
    ),
)

_FIELD = re.compile(rf"{_NAME}|(?:proxy-)?authorization|(?:set-)?cookie", re.IGNORECASE)


def redact(text: str) -> str:
    """The text with everything that looks like a secret masked; doing it twice changes nothing."""
    text = _PEM.sub(rf"\1{MASK}\3", text)
    for rule in _RULES:
        text = rule.sub(_masked, text)
    return _TOKENS.sub(MASK, text)


def redact_data(data: Any) -> Any:
    """JSON-like data with texts redacted, and fields masked whose names call them secret."""
    if isinstance(data, str):
        return redact(data)
    if isinstance(data, dict):
        return {key: _field(str(key), value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [redact_data(value) for value in data]
    return data


def _field(name: str, value: Any) -> Any:
    secret = isinstance(value, (str, int, float)) and not isinstance(value, bool)
    if secret and _FIELD.fullmatch(name) and not _HARMLESS.fullmatch(str(value)):
        return MASK
    return redact_data(value)


def _masked(match: re.Match[str]) -> str:
    value = match["value"]
    if _HARMLESS.fullmatch(value):
        return match[0]
    quote = value[0] if value[0] in "\"'" and value[-1] == value[0] else ""
    return f"{match['keep']}{quote}{MASK}{quote}"
