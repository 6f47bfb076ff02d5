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
import sys, urllib.error, urllib.request
url, wait, direct = sys.argv[1], float(sys.argv[2]), sys.argv[3] == "direct"
handlers = [urllib.request.ProxyHandler({})] if direct else []
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


def get(c: Context, url: str, wait: float = 5.0) -> Answer:
    """GET a URL from the host.

    Args:
        c: the task's Context or Connection.
        url: with http or https.
        wait: seconds for the whole of it.

    Raises:
        InvalidInput: not such a URL.
        StepFailed: the host has neither curl nor an interpreter.
    """
    if urlsplit(url).scheme not in {"http", "https"}:
        raise InvalidInput(f"{url!r} is not a URL", hint="write it with http:// or https://")
    direct = is_loopback(url)
    # A proxy cannot reach the host's own loopback, and the environment may name one.
    proxy = ["--noproxy", "*"] if direct else []
    curl = ["curl", "-sS", *proxy, "--max-time", f"{wait:g}", "-w", _TRAILER, "--", url]
    answer = command.run(c, curl, check=False)
    if answer.exit_code == _NOT_FOUND:
        python = scope(c).host.python or "python3"
        way = "direct" if direct else "proxied"
        answer = command.run(c, [python, "-c", _PYTHON, url, f"{wait:g}", way], check=False)
        if answer.exit_code == _NOT_FOUND:
            raise StepFailed("neither curl nor Python is there to ask with", hint="install curl")
    body, _, status = answer.stdout.rpartition("\n")
    if not answer:
        lines = answer.stderr.strip().splitlines()
        return Answer(0, error=lines[-1].removeprefix("curl: ") if lines else "no answer")
    return Answer(int(status), body)


def is_loopback(url: str) -> bool:
    """Whether a URL leads to the host itself."""
    name = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"
