"""The library comes in with the first request, and whatever was opened is closed."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import pytest
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from schemas.settings import Settings
from tracker.mcp.mount import McpMount
from tracker.web.app import create_app
from tracker.web.auth import generate_keyring

LIST = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}


class TestServer:
    def test_the_library_comes_in_with_the_first_request_that_is_let_in(self, down):
        homes = [str(down.places.home), str(down.places.tracker_home)]
        said = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("imports_seen.py")), *homes],
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stderr.splitlines() == [
            "at the start: nothing",
            "after everything else: nothing",
            "after 200 of /mcp: mcp mcp_types",
        ]

    def test_the_relay_needs_neither_it_nor_any_other_large_library(self):
        line = "import sys, tracker.client.relay, tracker.client.http; print(*sys.modules)"
        said = subprocess.run(
            [sys.executable, "-c", line], capture_output=True, text=True, check=True
        )
        large = {"mcp", "mcp_types", "pydantic", "starlette", "httpx2", "anyio", "duckdb"}
        assert large.isdisjoint(said.stdout.split())

    def test_many_first_requests_at_once_are_all_answered(self, up):
        token = up.token("read")
        with ThreadPoolExecutor(12) as pool:
            answers = list(pool.map(lambda _: up.post(LIST, token=token), range(12)))
        assert {answer.status_code for answer in answers} == {200}
        log = (up.places.tracker_log / "session-buddy.log").read_text()
        assert len(re.findall("StreamableHTTP session manager started", log)) == 1

    @pytest.mark.parametrize("mode", ["auto", "legacy"])
    def test_a_client_over_http_does_not_notice_a_restart(self, up, mode):
        async def around_a_restart():
            async with up.connected(mode=mode) as client:
                before = await client.call_tool("health_check", {})
                await asyncio.to_thread(up.stop)
                await asyncio.to_thread(up.start)
                after = await client.call_tool("health_check", {})
            return before.structured_content["pid"], after.structured_content["pid"]

        before, after = asyncio.run(around_a_restart())
        assert before != after

    def test_a_server_with_clients_ends_in_order(self, up):
        async def stopped():
            async with up.connected(), up.connected("stdio"):
                await asyncio.to_thread(up.stop)

        asyncio.run(stopped())
        log = (up.places.tracker_log / "session-buddy.log").read_text()
        assert "StreamableHTTP session manager shutting down" in log
        assert "event=stopped" in log
        assert "Traceback" not in log


class Manager:
    """Stands behind the mount in place of the library, and notes what becomes of it."""

    def __init__(self):
        self.runs = []

    @asynccontextmanager
    async def run(self):
        self.runs.append("opened")
        yield
        self.runs.append("closed")

    async def handle_request(self, scope, receive, send):
        await PlainTextResponse("answered")(scope, receive, send)


class Mounted:
    """A mount in an application of its own, in this process."""

    def __init__(self, places, make):
        generate_keyring(places.keyring)
        settings = Settings.load(places, {})
        self.mount = McpMount(make)
        other = Route("/other", lambda _: PlainTextResponse("other"))
        self.app = create_app("session-buddy", [*self.mount.routes(), other], settings)
        from tracker.client.tokens import local_token

        self.head = {
            "Authorization": f"Bearer {local_token(settings, 'session-buddy', ['read'])}",
            "Host": "127.0.0.1",
        }

    def client(self):
        transport = httpx2.ASGITransport(self.app)
        return httpx2.AsyncClient(
            transport=transport, base_url="http://127.0.0.1", headers=self.head
        )


@pytest.fixture
def mounted(down):
    return lambda make: Mounted(down.places, make)


class TestMount:
    def test_others_are_served_while_it_comes_in(self, mounted):
        manager, go = Manager(), threading.Event()

        def make():
            go.wait(30)
            return manager

        async def serve():
            made = mounted(make)
            async with made.client() as client:
                first = [asyncio.create_task(client.post("/mcp")) for _ in range(3)]
                other = await client.get("/other")
                waiting = [request.done() for request in first]
                go.set()
                answers = [await request for request in first]
            await made.mount.close()
            return other, waiting, answers

        other, waiting, answers = asyncio.run(serve())
        assert other.text == "other"
        assert waiting == [False] * 3
        assert [answer.text for answer in answers] == ["answered"] * 3
        assert manager.runs == ["opened", "closed"]

    def test_one_that_gives_up_waiting_does_not_spoil_it_for_the_others(self, mounted):
        manager, go = Manager(), threading.Event()

        def make():
            go.wait(30)
            return manager

        async def serve():
            made = mounted(make)
            async with made.client() as client:
                impatient = asyncio.create_task(client.post("/mcp"))
                patient = asyncio.create_task(client.post("/mcp"))
                await asyncio.sleep(0)
                impatient.cancel()
                go.set()
                answer = await patient
            await made.mount.close()
            return answer

        assert asyncio.run(serve()).text == "answered"

    def test_a_failure_is_told_and_the_next_request_tries_again(self, mounted):
        manager, tries = Manager(), []

        def make():
            tries.append(1)
            if len(tries) == 1:
                raise ImportError("half of it is missing")
            return manager

        async def serve():
            made = mounted(make)
            async with made.client() as client:
                answers = [await client.post("/mcp"), await client.post("/mcp")]
            await made.mount.close()
            return answers

        first, second = asyncio.run(serve())
        assert first.status_code == 500
        assert "missing" not in first.text
        assert second.text == "answered"

    def test_closing_what_was_never_opened_is_nothing(self, mounted):
        async def serve():
            await mounted(Manager).mount.close()

        asyncio.run(serve())

    def test_closing_while_it_comes_in_closes_it(self, mounted):
        manager, coming, go = Manager(), threading.Event(), threading.Event()

        def make():
            coming.set()
            go.wait(30)
            return manager

        async def serve():
            made = mounted(make)
            async with made.client() as client:
                request = asyncio.create_task(client.post("/mcp"))
                await asyncio.to_thread(coming.wait, 30)
                closing = asyncio.create_task(made.mount.close())
                go.set()
                await closing
                await request

        asyncio.run(serve())
        assert manager.runs == ["opened", "closed"]
