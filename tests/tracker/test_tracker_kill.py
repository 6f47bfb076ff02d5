"""kill -9 under load: what was acknowledged is there, once; what was not may be sent again."""

from __future__ import annotations

import random
import threading

from tracker_events import make_event, wire
from tracker_servers import DEADLINE, until

from schemas.errors import SessionopsError

ROUNDS = 3
SENDERS = 3
EVENTS = "/api/v1/events"


class Sender(threading.Thread):
    """One shell that goes on sending until the server is gone."""

    def __init__(self, server, session_id):
        super().__init__()
        self.server = server
        self.session_id = session_id
        self.acknowledged = []
        self.unanswered = [make_event(session_id, "session_start", event_id=f"{session_id}.start")]

    def run(self):
        try:
            with self.server.client("ingest") as client:
                while True:
                    client.post(EVENTS, wire(*self.unanswered))
                    self.acknowledged += self.unanswered
                    self.unanswered = [make_event(self.session_id) for _ in range(7)]
        except SessionopsError:
            return


def stored_ids(client, session_id):
    found, after = [], ""
    while after is not None:
        page = client.get(f"/api/v1/sessions/{session_id}/events", limit=1000, after=after)
        found += [event["event_id"] for event in page["events"]]
        after = page["next"]
    return found


def test_every_acknowledged_event_is_there_exactly_once(new_server, places):
    server = new_server(places).start()
    gone = []
    for number in range(ROUNDS):
        senders = [Sender(server, f"round-{number}-shell-{name}") for name in range(SENDERS)]
        for sender in senders:
            sender.start()
        wanted = random.randint(100, 300)  # noqa: S311 -- a moment that nobody chose
        until(lambda: sum(len(sender.acknowledged) for sender in senders) > wanted, "load")  # noqa: B023
        server.kill()
        for sender in senders:
            sender.join(DEADLINE)
        gone += senders
        server.start()

    sessions = {}
    with server.client("read", "ingest") as client:
        for sender in gone:
            # The answer to the last batch was lost, not necessarily the batch: sending it again
            # must store what is missing and nothing twice.
            client.post(EVENTS, wire(*sender.unanswered))
            ids = stored_ids(client, sender.session_id)
            sent = {event.event_id for event in sender.acknowledged + sender.unanswered}
            assert len(ids) == len(set(ids))
            assert set(ids) == sent
            sessions[sender.session_id] = client.get(f"/api/v1/sessions/{sender.session_id}")
            assert sessions[sender.session_id]["event_count"] == len(sent)
            assert sessions[sender.session_id]["command_count"] == len(sent) - 1
    _, _, errors = server.stop()
    assert errors == ""
