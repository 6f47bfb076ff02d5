"""Sessions through the service: what is stored, once; what is answered, bounded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from tracker_events import NINE, make_event

from schemas.errors import InvalidInput, NotFound
from schemas.session import SessionFacts
from tracker.store.queries import SessionFilter

SHELL = ("session_start", "command", "command", "session_end")


def a_shell(session_id, **facts):
    facts = {"component": "mahavishnu", **facts}
    return [
        make_event(
            session_id,
            kind,
            at=second,
            sequence=second,
            **({"session": facts} if kind == "session_start" else {}),
            **({"exit_code": 0} if kind != "session_start" else {}),
        )
        for second, kind in enumerate(SHELL)
    ]


def test_a_session_is_what_its_events_say(service, store):
    facts = SessionFacts(
        component="mahavishnu",
        user="ada",
        host="web-1",
        cwd="/srv",
        pid=4242,
        version="0.1.0",
        git_branch="main",
        git_commit="6955a9e",
        git_dirty=True,
        author_kind="agent",
        run_id="run-7",
        metadata={"env": {"TERM": "xterm"}, "naïve": "¿\x00?"},
    )
    store(*a_shell("s", **facts.model_dump()))
    session = service.get_session("s")
    assert session.model_dump(include=set(SessionFacts.model_fields)) == facts.model_dump()
    assert (session.status, session.exit_code, session.duration_seconds) == ("ended", 0, 3.0)
    assert (session.start_time, session.end_time) == (NINE, NINE + timedelta(seconds=3))
    assert (session.command_count, session.error_count, session.event_count) == (2, 0, 4)


def test_events_come_back_as_they_were_sent(service, store):
    data = {"text": "errors(5)", "nested": {"list": [1, 2.5, None, "ö"]}, "nul": "\x00"}
    sent = make_event("s", at=0.000001, duration_seconds=0.25, exit_code=-9, sequence=7, data=data)
    store(make_event("s", "session_start"), sent)
    _, got = service.list_events("s").events
    assert got.model_dump(exclude={"received_at"}) == sent.model_dump(exclude={"session"})
    assert abs(datetime.now(UTC) - got.received_at) < timedelta(minutes=1)


def test_an_event_that_is_sent_again_is_stored_once(service, store):
    events = a_shell("s")
    assert store(*events).model_dump() == {"accepted": 4, "duplicates": 0}
    assert store(*events, make_event("s")).model_dump() == {"accepted": 1, "duplicates": 4}
    twice = make_event("s")
    assert store(twice, twice).model_dump() == {"accepted": 1, "duplicates": 1}
    assert service.get_session("s").event_count == 6
    assert len(service.list_events("s").events) == 6


@pytest.mark.parametrize("together", [True, False], ids=["in one batch", "one by one"])
def test_the_order_of_arrival_does_not_matter(service, store, together):
    events = a_shell("s")[::-1]
    if together:
        store(*events)
    else:
        for event in events:
            store(event)
    session = service.get_session("s")
    assert (session.status, session.duration_seconds) == ("ended", 3.0)
    assert (session.command_count, session.event_count) == (2, 4)
    assert [event.event_type for event in service.list_events("s").events] == list(SHELL)
    assert service.totals().stored[("sessions", "mahavishnu")] == 1


def test_an_end_of_a_session_that_never_started_counts_nothing(service, store):
    store(make_event("ghost", "session_end", exit_code=1))
    assert service.list_sessions().total == 0
    assert service.totals().stored == {}
    with pytest.raises(NotFound, match="no session 'ghost'"):
        service.get_session("ghost")
    # It was acknowledged, so it is kept, and counts as soon as its session does exist.
    assert len(service.list_events("ghost").events) == 1
    store(make_event("ghost", "session_start"))
    assert service.get_session("ghost").status == "failed"
    assert service.totals().stored[("sessions_failed", "")] == 1


def test_a_second_start_does_not_make_a_second_session(service, store):
    store(*a_shell("s", user="ada"))
    store(make_event("s", "session_start", session={"component": "other", "user": "eve"}))
    session = service.get_session("s")
    assert (session.component, session.user, session.event_count) == ("mahavishnu", "ada", 5)
    assert service.totals().stored[("sessions", "mahavishnu")] == 1


def test_many_sessions_in_one_batch(service, store):
    answer = store(*(event for number in range(300) for event in a_shell(f"s{number}")))
    assert answer.accepted == 1200
    assert service.list_sessions(SessionFilter(status="ended")).total == 300


def test_a_silent_session_is_abandoned_and_a_late_event_revives_it(service, store, settings):
    store(make_event("s", "session_start"), *a_shell("done"))
    now = datetime.now(UTC)
    silence = timedelta(seconds=3 * settings.count("mahavishnu.session.checkpoint_interval"))
    assert service.silence == silence
    assert service.mark_abandoned(now + silence - timedelta(seconds=5)) == []
    assert service.mark_abandoned(now + silence + timedelta(seconds=5)) == ["s"]
    assert service.totals().by_status == {"active": 0, "ended": 1, "failed": 0, "abandoned": 1}
    store(make_event("s", "checkpoint"))
    assert service.get_session("s").status == "active"
    store(make_event("s", "session_end", exit_code=0))
    assert service.get_session("s").status == "ended"
    assert service.totals().stored[("sessions_abandoned", "")] == 1


def test_sessions_are_listed_newest_first_in_pages(service, store):
    store(*(make_event(f"s{number}", "session_start", at=number) for number in range(5)))
    page = service.list_sessions(limit=2, offset=1)
    assert ([session.session_id for session in page.sessions], page.total) == (["s3", "s2"], 5)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (SessionFilter(session_type="runbook"), {"run"}),
        (SessionFilter(status="active"), {"run"}),
        (SessionFilter(component="other"), {"foreign"}),
        (SessionFilter(run_id="r-1"), {"run"}),
        (SessionFilter(session_type="runbook", status="ended"), set()),
        (SessionFilter(component="x' OR 1=1 --"), set()),
        (SessionFilter(), {"shell", "run", "foreign"}),
    ],
)
def test_filters(service, store, wanted, found):
    run = {"component": "mahavishnu", "session_type": "runbook", "run_id": "r-1"}
    store(
        *a_shell("shell"),
        *a_shell("foreign", component="other"),
        make_event("run", "session_start", session=run),
    )
    page = service.list_sessions(wanted)
    assert {session.session_id for session in page.sessions} == found
    assert page.total == len(found)


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        ({"limit": 0}, "limit"),
        ({"limit": 1001}, "limit"),
        ({"offset": -1}, "offset"),
        ({"wanted": SessionFilter(status="dead")}, "not a status"),
    ],
)
def test_a_page_out_of_bounds_is_refused(service, bad, says):
    with pytest.raises(InvalidInput, match=says):
        service.list_sessions(**bad)


def test_a_cursor_walks_through_events_of_one_moment(service, store):
    store(make_event("s", "session_start"), *(make_event("s", at=1) for _ in range(6)))
    seen, after = [], ""
    while after is not None:
        page = service.list_events("s", limit=3, after=after)
        seen += [event.event_id for event in page.events]
        after = page.next
    assert len(seen) == len(set(seen)) == 7


@pytest.mark.parametrize("cursor", ["x", "1.2", "-1.0.e", f"{10**40}.0.e", "1.0.e'--"])
def test_a_cursor_that_nobody_gave_is_refused(service, store, cursor):
    store(make_event("s", "session_start"))
    with pytest.raises(InvalidInput, match="is not a cursor"):
        service.list_events("s", after=cursor)


@pytest.mark.parametrize(
    ("event", "says"),
    [
        (make_event("s", data={"n": float("nan")}), "not JSON"),
        (make_event("s", at=-3e9), "cannot be right"),
        (make_event("s", at=3e9), "cannot be right"),
        (
            make_event(
                "s",
                "session_start",
                session={"component": "c", "metadata": {"n": float("inf")}},
            ),
            "not JSON",
        ),
    ],
)
def test_what_cannot_be_right_is_refused_with_its_batch(service, event, says):
    with pytest.raises(InvalidInput, match=says):
        service.ingest([make_event("s", "session_start"), event])
    assert service.list_sessions().total == 0


def test_probes_speak_of_what_is_there(service, settings):
    values = {probe.name: (probe.ok, probe.value) for probe in service.probes()}
    assert values["Database"] == (True, "connected")
    assert values["Session tracking"] == (True, "enabled")
    assert values["Disk"][1].endswith("free")
    moved = settings.database.with_name("moved.db")
    settings.database.rename(moved)
    (database,) = [probe for probe in service.probes() if probe.name == "Database"]
    assert (database.ok, database.value) == (False, "replaced")
    assert "put it back" in database.hint
    moved.rename(settings.database)
    assert all(probe.ok is not False for probe in service.probes())


def test_everything_is_there_after_a_restart(service, store, settings):
    store(*a_shell("s"))
    before = service.get_session("s"), service.totals().stored
    service.close()
    again = type(service).open(settings, wait=0)
    assert (again.get_session("s"), again.totals().stored) == before
    again.close()
    assert [file.name for file in settings.database.parent.glob("*.wal")] == []
