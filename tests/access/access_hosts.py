"""Trackers that listen beyond loopback, and shells that are somewhere else."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import subprocess
from dataclasses import dataclass

from certificates import Authority
from deployments import COMMAND, Deployment

from schemas.places import Places
from schemas.settings import Settings
from tracker.client.tokens import local_token

MAHAVISHNU = COMMAND.with_name("mahavishnu")


@dataclass
class Tracker(Deployment):
    """A deployment whose tracker may listen beyond loopback."""

    authority: Authority
    address: str

    @property
    def port(self):
        return self.settings.count("session_buddy.port")

    @property
    def url(self):
        """Where another host finds it."""
        scheme = "https" if self.settings.text("session_buddy.tls.cert") else "http"
        return f"{scheme}://{self.address}:{self.port}"

    def run(self, *arguments, program=COMMAND, **environ):
        return run(program, arguments, {**self.environ, **environ})

    def start(self):
        done = self.run("mcp", "start")
        assert done.returncode == 0, done.stderr
        return self

    def token(self, *scopes):
        return local_token(self.settings, "session-buddy", scopes)

    def log(self):
        return (self.places.tracker_log / "session-buddy.log").read_text()

    def request(self, path, address="", token="", method="GET", **headers):
        """The status and the body that a client of this address gets."""
        if token:
            headers["Authorization"] = f"Bearer {token}"
        with contextlib.closing(self._connection(address or self.address)) as connection:
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()

    def _connection(self, address):
        if not self.settings.text("session_buddy.tls.cert"):
            return http.client.HTTPConnection(address, self.port, timeout=10)
        context = ssl.create_default_context(cafile=self.authority.cert)
        context.check_hostname = False
        return http.client.HTTPSConnection(address, self.port, timeout=10, context=context)


@dataclass
class Shell:
    """A user on another host: nothing there but the address, a token and a CA."""

    environ: dict[str, str]

    @property
    def settings(self):
        return Settings.load(Places.of_this_user(self.environ), self.environ)

    def run(self, *arguments, **environ):
        return run(COMMAND, arguments, {**self.environ, **environ})


def run(program, arguments, environ):
    return subprocess.run(
        [str(program), *arguments],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def put_token(path, token, mode=0o600):
    """A token file as an operator writes it."""
    path.touch(mode=mode)
    path.chmod(mode)
    path.write_text(token + "\n")
