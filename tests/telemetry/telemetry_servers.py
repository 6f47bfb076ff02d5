"""A tracker in a process of its own, asked in raw HTTP, with its log and its metrics at hand."""

from __future__ import annotations

import http.client
import itertools
import json
import re
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime

from deployments import PATIENCE, Deployment, wait_for

from schemas.errors import Unreachable
from tracker.client.tokens import local_token
from tracker.web.logs import log_file

EVENTS = "/api/v1/events"
SESSIONS = "/api/v1/sessions"

_FIELD = re.compile(r'([\w.]+)=("(?:[^"\\]|\\.)*"|[^\s"=]*)(?: |$)')
_numbers = itertools.count(1)


def made(session_id, event_type="command", **fields):
    """An event as a sender writes it."""
    if event_type == "session_start":
        fields.setdefault("session", {"component": "mahavishnu"})
    return {
        "event_id": f"event-{next(_numbers)}",
        "session_id": session_id,
        "event_type": event_type,
        "timestamp": datetime.now(UTC).isoformat(),
        **fields,
    }


def fields_of(line):
    """The fields of a logfmt line; the line is nothing but fields."""
    found = _FIELD.findall(line)
    assert "".join(f"{name}={value} " for name, value in found).strip() == line.strip(), line
    return {name: value.strip('"') for name, value in found}


@dataclass
class Answer:
    """What the server answered."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


@dataclass
class Tracker(Deployment):
    """A deployment whose tracker is started and stopped by the test."""

    running: subprocess.Popen | None = field(default=None)

    def start(self, **variables):
        self.running = subprocess.Popen(
            [sys.executable, "-m", "tracker.cli", "mcp", "start", "--foreground"],
            env={**self.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        wait_for(self._healthy)
        return self

    def _healthy(self):
        assert self.running.poll() is None, self.running.communicate()
        try:
            with self.client() as client:
                return client.health().status == "healthy"
        except Unreachable:
            return False

    def stop(self):
        """Ask it to stop; its exit code and what it said on standard error."""
        self.running.terminate()
        _, err = self.running.communicate(timeout=PATIENCE)
        return self.running.returncode, err

    def end(self):
        if self.running is not None and self.running.poll() is None:
            self.running.kill()
            self.running.communicate()

    def ask(self, method, path, body=None, *, scope="", headers=None):
        """One request, just as it is given."""
        sent = dict(headers or {})
        if scope:
            token = local_token(self.settings, "session-buddy", [scope])
            sent["Authorization"] = f"Bearer {token}"
        if body is not None:
            body = json.dumps(body).encode()
            sent["Content-Type"] = "application/json"
        address = self.settings.tracker_url.removeprefix("http://")
        connection = http.client.HTTPConnection(address, timeout=PATIENCE)
        try:
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read())
        finally:
            connection.close()

    def send(self, *events, **given):
        """Send events; the id that the request had."""
        answer = self.ask("POST", EVENTS, {"events": list(events)}, scope="ingest", **given)
        assert answer.status == 200, answer.body
        return answer.headers["x-request-id"]

    def scrape(self, accept="text/plain"):
        return self.ask("GET", "/metrics", headers={"Accept": accept}).body.decode()

    def samples(self):
        """Every sample but those of the process, by name and labels."""
        from prometheus_client.parser import text_string_to_metric_families

        return {
            (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
            for family in text_string_to_metric_families(self.scrape())
            for sample in family.samples
            if not family.name.startswith("process_")
        }

    def log(self):
        if self.running is not None and self.running.poll() is None:
            # A request is logged just after its answer has left, and before the next is taken.
            self.ask("GET", "/health")
        return log_file("session-buddy", self.places).read_text().splitlines()

    def lines(self, **wanted):
        """The fields of the log lines that have these."""
        found = [fields_of(line) for line in self.log()]
        return [line for line in found if wanted.items() <= line.items()]
