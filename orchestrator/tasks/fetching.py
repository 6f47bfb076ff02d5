"""One HTTP request from the host, with curl or else with an interpreter there; no token is sent."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from orchestrator.tasks import command
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, StepFailed

if TYPE_CHECKING:
    from invoke.context import Context

_NOT_FOUND = 127
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
sys.stdout.buffer.write(answer.read() + b"\\n%d" % answer.status)
"""


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Args:
        status: of HTTP; 0 when there was no answer.
        body: as text.
        error: why there was no answer.
    """

    status: int
    body: str = ""
    error: str = ""


def get(c: Context, url: str, wait: float = 5.0, *, own: bool = False) -> Answer:
    """GET a URL from the host.

    Args:
        c: the task's Context or Connection.
        url: with http or https.
        wait: seconds for the whole of it.
        own: it leads to a server on the host itself, whose certificate need not be for the address
            that is asked; nothing secret is sent, and nothing leaves the host.

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
    curl = ["curl", "-sS", *proxy, *trust, "--max-time", f"{wait:g}", "-w", _TRAILER, "--", url]
    answer = command.run(c, curl, check=False)
    if answer.exit_code == _NOT_FOUND:
        python = scope(c).host.python or "python3"
        words = [*(["direct"] if direct else []), *(["own"] if own else [])]
        answer = command.run(c, [python, "-c", _PYTHON, url, f"{wait:g}", *words], check=False)
        if answer.exit_code == _NOT_FOUND:
            raise StepFailed("neither curl nor Python is there to ask with", hint="install curl")
    body, _, status = answer.stdout.rpartition("\n")
    if not answer:
        lines = answer.stderr.strip().splitlines() or ["no answer"]
        # Of a certificate curl tells more below, which helps nobody.
        told = next((line for line in lines if line.startswith("curl: (")), lines[-1])
        return Answer(0, error=told.removeprefix("curl: "))
    return Answer(int(status), body)


def is_loopback(url: str) -> bool:
    """Whether a URL leads to the host itself."""
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
