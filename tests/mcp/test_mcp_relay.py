"""``session-buddy mcp stdio`` as a client sees it: lines in, lines out, and an end."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import threading
from contextlib import suppress

import pytest
from deployments import COMMAND
from mcp_clients import PATIENCE, RELAY

from tracker.web.auth import generate_keyring

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
CALL = {"name": "list_sessions", "arguments": {}}


class Relay:
    """The command with its three streams."""

    def __init__(self, deployment):
        self.process = subprocess.Popen(
            [str(COMMAND), *RELAY],
            env=deployment.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def send(self, message):
        line = message if isinstance(message, bytes) else json.dumps(message).encode()
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def receive(self):
        return json.loads(self.process.stdout.readline())

    def ask(self, message):
        self.send(message)
        return self.receive()

    def end(self):
        """End its input; its exit code, and what it still wrote to each stream."""
        out, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, out, err.decode()


@pytest.fixture
def relay():
    made = []

    def relay(deployment):
        made.append(Relay(deployment))
        return made[-1]

    yield relay
    for one in made:
        if one.process.poll() is None:
            one.process.kill()
        one.process.wait()
        for stream in (one.process.stdin, one.process.stdout, one.process.stderr):
            with suppress(BrokenPipeError):
                stream.close()


class Silent:
    """Takes connections where the server should be, and never says a word."""

    def __init__(self, port):
        self.socket = socket.create_server(("127.0.0.1", port))
        self.asked = threading.Semaphore(0)
        self.connections = []
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections.append(connection)
            connection.recv(1)
            self.asked.release()

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)  # closing alone would leave it to who is accepting
        self.socket.close()
        for connection in self.connections:
            connection.close()


@pytest.fixture
def silent(down):
    """A deployment with a server that never answers."""
    server = Silent(down.settings.count("session_buddy.port"))
    yield server
    with suppress(OSError):  # closed already
        server.close()


class TestEnd:
    def test_the_end_of_the_input_ends_it(self, tracker, relay):
        assert relay(tracker).end() == (0, b"", "")

    def test_what_was_asked_before_the_end_is_answered(self, tracker, relay):
        started = relay(tracker)
        for number in range(20):
            started.send(PING | {"id": number})
        code, out, err = started.end()
        answers = [json.loads(line) for line in out.splitlines()]
        assert (code, err) == (0, "")
        assert sorted(answer["id"] for answer in answers) == list(range(20))
        assert all(answer["result"] == {} for answer in answers)

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
    def test_a_signal_ends_it(self, tracker, relay, number):
        started = relay(tracker)
        started.ask(PING)
        started.process.send_signal(number)
        assert started.process.wait(PATIENCE) == 0
        assert started.end() == (0, b"", "")

    def test_a_signal_ends_it_while_an_answer_is_due(self, down, silent, relay):
        started = relay(down)
        started.send(PING)
        silent.asked.acquire()
        started.process.send_signal(signal.SIGTERM)
        assert started.process.wait(PATIENCE) == 0
        assert started.end() == (0, b"", "")

    def test_a_client_that_no_longer_listens_ends_it(self, tracker, relay):
        started = relay(tracker)
        started.ask(PING)
        started.process.stdout.close()
        started.send(PING)
        started.process.stdin.close()
        assert started.process.wait(PATIENCE) == 0
        assert started.process.stderr.read() == b""


class TestMessages:
    @pytest.mark.parametrize(
        ("line", "code"),
        [
            (b"hello", -32700),
            (b"\xff", -32700),
            (b"[" * 100_000, -32700),
            (b"[]", -32600),
            (b'"text"', -32600),
            (b'{"id": 1, "method": "ping"}', -32600),
            (b'{"jsonrpc": "2.0", "id": {}, "method": "ping"}', -32600),
            (b'{"jsonrpc": "2.0", "id": 1, "method": 5}', -32600),
        ],
    )
    def test_rubbish_is_answered_and_the_next_message_too(self, tracker, relay, line, code):
        started = relay(tracker)
        answer = started.ask(line)
        assert (answer["id"], answer["error"]["code"]) == (None, code)
        assert started.ask(PING)["result"] == {}

    def test_a_line_that_is_too_long_is_refused_alone(self, tracker, relay):
        started = relay(tracker)
        assert started.ask(b" " * 16_000_001 + b"{}")["error"]["code"] == -32600
        assert started.ask(PING)["result"] == {}

    @pytest.mark.parametrize("number", [0, 7, -1, "seven", "", "ü\n"])
    def test_an_answer_has_the_id_of_its_request(self, tracker, relay, number):
        assert relay(tracker).ask(PING | {"id": number})["id"] == number

    def test_an_error_of_the_server_has_it_too(self, tracker, relay):
        meta = {"io.modelcontextprotocol/protocolVersion": "1999-01-01"}
        answer = relay(tracker).ask(PING | {"id": 9, "params": {"_meta": meta}})
        assert answer["id"] == 9
        assert answer["error"]

    def test_empty_lines_and_notifications_are_not_answered(self, tracker, relay):
        started = relay(tracker)
        started.send(b"")
        started.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        started.send({"jsonrpc": "2.0", "id": 3, "result": {}})
        assert started.ask(PING)["id"] == 1
        assert started.end() == (0, b"", "")

    def test_what_was_taken_back_is_not_answered(self, down, silent, relay):
        started = relay(down)
        started.send(PING | {"id": "slow"})
        silent.asked.acquire()
        cancelled = {"requestId": "slow", "reason": "no longer needed"}
        started.send({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": cancelled})
        assert started.ask(b"so that the one before was read")["id"] is None
        silent.close()  # the request fails now, and nobody hears of it
        assert started.ask(PING | {"id": "next"})["id"] == "next"
        assert started.end()[:2] == (0, b"")

    def test_requests_do_not_wait_for_each_other(self, down, silent, relay):
        started = relay(down)
        for number in range(5):
            started.send(PING | {"id": number})
        for _ in range(5):
            assert silent.asked.acquire(timeout=PATIENCE)


class TestOutages:
    def test_no_server_is_an_error_with_the_command_that_starts_it(self, down, relay):
        started = relay(down)
        for number in (1, 2):
            error = started.ask(PING | {"id": number})["error"]
            assert "Session-Buddy does not answer" in error["message"]
            assert "session-buddy mcp start" in error["message"]
        code, out, err = started.end()
        assert (code, out) == (0, b"")
        assert err.count("session-buddy mcp start") == 1

    def test_it_goes_on_as_soon_as_there_is_one(self, down, relay):
        started = relay(down)
        assert "error" in started.ask(PING)
        down.start()
        assert started.ask(PING)["result"] == {}

    def test_a_restart_in_between_goes_unnoticed(self, up, relay):
        started = relay(up)
        assert started.ask(PING)["result"] == {}
        up.stop()
        up.start()
        assert started.ask(PING)["result"] == {}
        assert started.end() == (0, b"", "")

    @pytest.mark.parametrize("mode", ["auto", "legacy"])
    def test_neither_does_the_library_notice_one(self, up, mode):
        async def around_a_restart():
            async with up.connected("stdio", mode=mode) as client:
                before = await client.call_tool("health_check", {})
                await asyncio.to_thread(up.kill)
                await asyncio.to_thread(up.start)
                after = await client.call_tool("health_check", {})
            return before.structured_content["pid"], after.structured_content["pid"]

        before, after = asyncio.run(around_a_restart())
        assert before != after

    def test_new_keys_are_taken_up(self, up, relay):
        started = relay(up)
        assert started.ask(PING)["result"] == {}
        up.stop()
        generate_keyring(up.places.keyring, only_missing=False)
        up.start()
        assert started.ask(PING)["result"] == {}

    def test_keys_that_are_missing_are_an_error_that_says_how_to_make_them(self, down, relay):
        down.places.keyring.unlink()
        error = relay(down).ask(PING)["error"]
        assert "invoke secret.generate" in error["message"]

    def test_another_program_on_the_port_is_said_to_be_one(self, down, relay):
        with socket.create_server(("127.0.0.1", down.settings.count("session_buddy.port"))) as web:
            started = relay(down)
            started.send(PING)
            connection, _ = web.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
                assert "see whether that is" in started.receive()["error"]["message"]

    def test_an_answer_that_is_none_is_an_error_too(self, down, relay):
        with socket.create_server(("127.0.0.1", down.settings.count("session_buddy.port"))) as web:
            started = relay(down)
            started.send(PING | {"id": 4})
            connection, _ = web.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                answer = started.receive()
        assert (answer["id"], answer["error"]["code"]) == (4, -32603)
