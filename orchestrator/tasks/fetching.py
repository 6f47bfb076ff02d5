"""One HTTP request from the host, with curl or else with an interpreter there; no token is sent."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.tasks import command
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from invoke.context import Context

_NOT_FOUND = 127
_BETWEEN = re.compile(r"HTTP/\S+ (1\d\d|200 Connection established)", re.IGNORECASE)
_TRAILER = "\n%{http_code}"
_PYTHON = """
import ssl, sys, urllib.error, urllib.request
url, wait, direct = sys.argv[1], float(sys.argv[2]), "direct" in sys.argv[3:]
handlers = [urllib.request.ProxyHandler({})] if direct else []
if "own" in sys.argv[3:]:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    handlers.append(urllib.request.HTTPSHandler(context=context))
try:
    answer = urllib.request.build_opener(*handlers).open(url, timeout=wait)
except urllib.error.HTTPError as error:
    answer = error
except (urllib.error.URLError, OSError) as error:
    sys.exit(str(getattr(error, "reason", error)))
if "headers" in sys.argv[3:]:
    sys.stdout.write("HTTP/1.1 %d\\r\\n" % answer.status)
    sys.stdout.write("".join("%s: %s\\r\\n" % one for one in answer.headers.items()) + "\\r\\n")
    sys.stdout.flush()
sys.stdout.buffer.write(answer.read() + b"\\n%d" % answer.status)
"""


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Args:
        status: of HTTP; 0 when there was no answer.
        body: as text.
        error: why there was no answer.
        headers: by lower-case name, when they were asked for.
    """

    status: int
    body: str = ""
    error: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


def get(
    c: Context, url: str, wait: float = 5.0, *, own: bool = False, headers: bool = False
) -> Answer:
    """GET a URL from the host.

    Args:
        c: the task's Context or Connection.
        url: with http or https.
        wait: seconds for the whole of it.
        own: it leads to a server on the host itself, whose certificate need not be for the address
            that is asked; nothing secret is sent, and nothing leaves the host.
        headers: also give the answer's headers.

    Raises:
        InvalidInput: not such a URL.
        StepFailed: the host has neither curl nor an interpreter.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise InvalidInput(f"{url!r} is not a URL", hint="write it with http:// or https://")
    direct = own or is_loopback(url)
    # A proxy cannot reach the host's own loopback, and the environment may name one.
    proxy = ["--noproxy", "*"] if direct else []
    trust = ["--insecure"] if own else []
    shown = ["--include"] if headers else []
    options = [*proxy, *trust, *shown, "--max-time", f"{wait:g}", "-w", _TRAILER]
    curl = ["curl", "-sS", *options, "--", url]
    answer = command.run(c, curl, check=False)
    if answer.exit_code == _NOT_FOUND:
        python = scope(c).host.python or "python3"
        chosen = {"direct": direct, "own": own, "headers": headers}
        words = [word for word, on in chosen.items() if on]
        answer = command.run(c, [python, "-c", _PYTHON, url, f"{wait:g}", *words], check=False)
        if answer.exit_code == _NOT_FOUND:
            raise StepFailed("neither curl nor Python is there to ask with", hint="install curl")
    body, _, status = answer.stdout.rpartition("\n")
    if not answer:
        lines = answer.stderr.strip().splitlines() or ["no answer"]
        # Of a certificate curl tells more below, which helps nobody.
        told = next((line for line in lines if line.startswith("curl: (")), lines[-1])
        return Answer(0, error=told.removeprefix("curl: "))
    if not headers:
        return Answer(int(status), body)
    found, body = split_headers(body)
    return Answer(int(status), body, headers=found)


def split_headers(text: str) -> tuple[dict[str, str], str]:
    """Headers by lower-case name, and the body after them.

    Answers in between (100 Continue, a proxy's CONNECT) come before it with headers of their own.
    """
    found: dict[str, str] = {}
    while text.startswith("HTTP/"):
        head, _, text = text.partition("\r\n\r\n")
        found = {}
        for line in head.splitlines()[1:]:
            name, _, value = line.partition(":")
            key = name.strip().lower()
            found[key] = f"{found[key]}, {value.strip()}" if key in found else value.strip()
        if not _BETWEEN.match(head):
            break
    return found, text


def is_loopback(url: str) -> bool:
    """Whether a URL leads to the host itself."""
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
