"""Prometheus scrapes from elsewhere, with a token that opens the metrics and nothing else."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import subprocess
import urllib.request
from urllib.parse import quote

import pytest
from access_hosts import MAHAVISHNU, put_token
from deployments import unused_port, wait_for

YEAR = 365 * 24 * 3600

CONFIG = """
global: {scrape_interval: 200ms, scrape_timeout: 200ms}
scrape_configs:
  - job_name: session-buddy
    scheme: https
    tls_config: {ca_file: %(ca)s}
    authorization: {credentials_file: %(token)s}
    static_configs: [{targets: ["%(target)s"]}]
  - job_name: without-token
    scheme: https
    tls_config: {ca_file: %(ca)s}
    static_configs: [{targets: ["%(target)s"]}]
"""


def generated(tracker, *arguments):
    return tracker.run("generate-token", *arguments, program=MAHAVISHNU)


def claims(token):
    payload = token.split(".")[1]
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def test_a_scrape_token_is_for_the_tracker_and_lives_for_a_year(shared):
    found = claims(generated(shared, "--scope", "metrics").stdout)
    assert (found["aud"], found["scope"]) == ("session-buddy", "metrics")
    assert found["exp"] - found["iat"] >= YEAR


@pytest.mark.parametrize("scopes", [["read"], ["metrics", "read"]])
def test_no_other_token_lives_that_long(shared, scopes):
    words = [word for scope in scopes for word in ("--scope", scope)]
    done = generated(shared, *words, "--minutes", "43201")
    assert done.returncode == 2
    assert "is more than 43200" in done.stderr
    found = claims(generated(shared, *words).stdout)
    assert (found["aud"], found["exp"] - found["iat"]) == ("mahavishnu", 3600)


def test_it_opens_the_metrics_and_nothing_else(shared):
    token = generated(shared, "--scope", "metrics").stdout.strip()
    assert shared.request("/metrics", token=token)[0] == 200
    assert shared.request("/api/v1/sessions", token=token)[0] == 403


@contextlib.contextmanager
def prometheus(folder, config):
    (folder / "prometheus.yml").write_text(config)
    port = unused_port()
    argv = [
        shutil.which("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(argv, stdout=log, stderr=log, cwd=folder, env=os.environ)
    try:
        yield lambda query: ask(port, query)
    finally:
        process.terminate()
        process.wait(20)


def ask(port, query):
    url = f"http://127.0.0.1:{port}/api/v1/query?query={quote(query)}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            found = json.loads(answer.read())["data"]["result"]
    except OSError:
        return {}  # it is still starting
    return {each["metric"].get("job", ""): float(each["value"][1]) for each in found}


@pytest.mark.needs("prometheus")
def test_prometheus_scrapes_over_tls_with_it(shared, tmp_path):
    token = tmp_path / "scrape-token"
    put_token(token, generated(shared, "--scope", "metrics").stdout.strip())
    target = f"{shared.address}:{shared.port}"
    config = CONFIG % {"ca": shared.authority.cert, "token": token, "target": target}
    with prometheus(tmp_path, config) as query:
        wait_for(lambda: query("up") == {"session-buddy": 1, "without-token": 0})
        assert set(query("mahavishnu_sessions_active")) == {"session-buddy"}
        wait_for(lambda: query('session_buddy_auth_failures_total{reason="missing"} > 0'))
