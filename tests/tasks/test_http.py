"""What a URL answers, asked with curl or without."""

import http.server
import json
import shutil
import threading

import pytest

from orchestrator.tasks.fetching import get, is_loopback, split_headers
from orchestrator.tasks.http import fault_of
from schemas.errors import InvalidInput, StepFailed

BODY = {"status": "healthy", "probes": [{"name": "Database", "ok": True}]}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps(BODY).encode()
        self.send_response(503 if self.path == "/ill" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def url():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(params=["curl", "python"])
def way(request, monkeypatch, tmp_path):
    """With curl, and on a host that has only an interpreter; behind a proxy that is not there."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    if request.param == "python":
        (tmp_path / "bin").mkdir()
        (tmp_path / "bin" / "bash").symlink_to(shutil.which("bash"))
        monkeypatch.setenv("PATH", str(tmp_path / "bin"))


@pytest.mark.usefixtures("way")
class TestCheck:
    def test_an_answer_as_expected(self, bench, url):
        expects = {"status": "healthy", "probes.0.ok": True}
        outcome = bench("http.check", url=f"{url}/health", contains="Database", expects=expects)
        assert outcome.message == "answers 200"
        assert json.loads(outcome.outputs["body"]) == BODY

    def test_another_status_is_told_with_the_body(self, bench, url):
        with pytest.raises(StepFailed, match=r"answers 503, not 200: .*healthy"):
            bench("http.check", url=f"{url}/ill")
        assert bench("http.check", url=f"{url}/ill", status=503).outputs["status"] == 503

    def test_no_answer_is_told(self, bench):
        with pytest.raises(StepFailed, match="does not answer"):
            bench("http.check", url="http://127.0.0.1:9/health")

    def test_the_body_is_the_body_whatever_asked(self, bench, url):
        assert json.loads(get(bench.context, url).body) == BODY
        assert json.loads(get(bench.context, url, headers=True).body) == BODY

    def test_headers_and_a_pattern_in_the_body(self, bench, url):
        expected = {"content-length": r"\d+", "Server": "BaseHTTP/.*"}
        outcome = bench("http.check", url=url, headers=expected, matches='"Data[a-z]+"')
        assert outcome.outputs["headers"]["content-length"] == str(len(json.dumps(BODY)))

    @pytest.mark.parametrize(
        ("expected", "fault"),
        [
            ({"headers": {"X-Cache": "HIT"}}, "answers without the header X-Cache"),
            (
                {"headers": {"Content-Length": "0"}},
                r"answers with Content-Length: \d+, which is not",
            ),
            ({"matches": "^Database"}, "nothing that matches"),
        ],
    )
    def test_another_header_or_body_is_told(self, bench, url, expected, fault):
        with pytest.raises(StepFailed, match=fault):
            bench("http.check", url=url, **expected)


@pytest.mark.parametrize(
    ("status", "body", "contains", "expects", "fault"),
    [
        (200, "", "", {}, ""),
        (200, "ok", "no", {}, "answers without 'no': ok"),
        (200, "{}", "", {"a.b": 1}, "answers with a.b None, not 1"),
        (200, '{"a": [1]}', "", {"a.1": 1}, "answers with a.1 None, not 1"),
        (200, "<html>", "", {"a": 1}, "answers with something that is not JSON: <html>"),
        (404, "x" * 500, "", {}, f"answers 404, not 200: {'x' * 119}…"),
    ],
)
def test_faults(status, body, contains, expects, fault):
    assert fault_of(status, body, 200, contains, expects) == fault


@pytest.mark.parametrize(
    ("url", "loopback"),
    [
        ("http://127.0.0.1:1/", True),
        ("http://[::1]/", True),
        ("http://localhost/x", True),
        ("https://example.org", False),
        ("http://10.0.0.1", False),
    ],
)
def test_only_loopback_goes_past_a_proxy(url, loopback):
    assert is_loopback(url) is loopback


def test_what_is_no_url_is_refused(bench):
    with pytest.raises(InvalidInput, match="http://"):
        bench("http.check", url="file:///etc/passwd")


def test_what_is_no_pattern_is_refused(bench, url):
    with pytest.raises(InvalidInput, match="not a regular expression"):
        bench("http.check", url=url, matches="(")


def test_answers_in_between_are_passed_over():
    text = "HTTP/1.1 100 Continue\r\n\r\nHTTP/2 200 \r\nA: 1\r\na: 2\r\n\r\nHTTP/ body\r\n\r\n"
    assert split_headers(text) == ({"a": "1, 2"}, "HTTP/ body\r\n\r\n")
