"""Messages: masked, sent to real receivers, and never with an address in what is told."""

import http.server
import json
import logging
import threading

import pytest

from schemas.errors import InvalidInput, StepFailed

PASSWORD = "hunter22-and-more"


@pytest.fixture
def receiver():
    """A server that takes messages as JSON: its address as Apprise writes it, and what it got."""
    got = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            got.append((self.path, body))
            self.send_response(500 if self.path == "/ill" else 200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"json://ops:{PASSWORD}@127.0.0.1:{server.server_address[1]}", got
        server.shutdown()


def test_people_are_told_where_the_setting_says(bench_with, receiver):
    url, got = receiver
    bench = bench_with(MAHAVISHNU_NOTIFY_URLS=f"{url}/one {url}/two")
    bench.scope.secrets.add("correct-horse")
    outcome = bench("notify.send", message="it is down: correct-horse", severity="P1")
    assert outcome.outputs["told"] == 2
    assert [path for path, _ in got] == ["/one", "/two"]
    body = got[0][1]
    assert (body["type"], body["title"]) == ("failure", "P1 this-machine: sessionops")
    assert body["message"] == "it is down: ********"
    assert PASSWORD not in str(outcome)


def test_or_where_a_variable_of_this_machine_says(bench, receiver, monkeypatch):
    url, got = receiver
    monkeypatch.setenv("ONCALL_URL", f"{url}/oncall")
    bench("notify.send", message="all is well", severity="P4", env="ONCALL_URL", title="Report")
    assert (got[0][1]["type"], got[0][1]["title"]) == ("info", "Report")
    assert bench.scope.secrets.is_in(f"{url}/oncall")


@pytest.mark.parametrize("to", ["", "log"])
def test_with_nobody_configured_the_log_is_enough(bench, to):
    assert bench("notify.send", message="hello", to=to).outputs["told"] == 0


def test_only_the_log_is_only_the_log(bench_with, receiver):
    url, got = receiver
    bench_with(MAHAVISHNU_NOTIFY_URLS=url)("notify.send", message="hello", to="log")
    assert got == []


def test_check_mode_tells_nobody(bench_with, receiver):
    url, got = receiver
    outcome = bench_with(MAHAVISHNU_NOTIFY_URLS=url).checked("notify.send", message="hello")
    assert (outcome.message, got) == ("P3: hello", [])


def test_people_who_must_be_told_and_are_not_configured(bench):
    with pytest.raises(StepFailed, match="nobody is configured") as caught:
        bench("notify.send", message="hello", to="people")
    assert "MAHAVISHNU_NOTIFY_URLS" in caught.value.hint


@pytest.mark.parametrize(
    ("addresses", "error", "told"),
    [
        ("{url}/ill {url}/well", StepFailed, r"json://... did not take the message \(1 of 2 did\)"),
        ("nobody://{password}", InvalidInput, "does not know the address nobody://..."),
        ("{password}", InvalidInput, "the address that has no ://"),
    ],
)
def test_a_failure_is_told_without_the_address(
    bench_with, receiver, capfd, caplog, addresses, error, told
):
    url, _ = receiver
    given = addresses.format(url=url, password=PASSWORD)
    caplog.set_level(logging.DEBUG)
    with pytest.raises(error, match=told) as caught:
        bench_with(MAHAVISHNU_NOTIFY_URLS=given)("notify.send", message="hello")
    shown = capfd.readouterr()
    assert PASSWORD not in f"{caught.value}{shown.out}{shown.err}{caplog.text}"


@pytest.mark.parametrize("arguments", [{"severity": "P9"}, {"to": "everybody"}])
def test_what_is_refused(bench, arguments):
    with pytest.raises(InvalidInput):
        bench("notify.send", message="hello", **arguments)
