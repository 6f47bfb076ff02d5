"""Search by words: it finds what was typed, ranks it, filters it, and needs no model."""

from __future__ import annotations

from datetime import timedelta

import pytest
from search_sessions import NINE, event, indexed, session, sessions, settings_in, tell, texts

from schemas.errors import InvalidInput
from tracker.search.meaning import SemanticUnavailable
from tracker.sessions import SessionService
from tracker.store.archive import archive_batch
from tracker.store.search_hits import SearchFilter


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A service for the tests that only ask."""
    service = SessionService.open(settings_in(tmp_path_factory.mktemp("told")), wait=0)
    tell_all(service)
    yield service
    service.close()


def tell_all(service):
    """A shell, a run that failed, a shell of somebody else, an hour later each."""
    tell(
        service,
        *session("shell", "ps()", "systemctl restart nginx", user="ada", host="web-1", cwd="/srv"),
        *session(
            "run",
            at=3600,
            user="ci",
            host="build",
            session_type="runbook",
            metadata={"title": "Deploy session tracking"},
        ),
        event("run", "step", "unpack the release", at=3601, exit_code=0),
        event("run", "step", at=3602, exit_code=3, data={"title": "Start", "error": "port taken"}),
        event("run", "error", at=3603, data={"message": "IOException: database is locked"}),
        event("run", "session_end", at=3604, exit_code=3, data={"error": "step failed"}),
        *session("other", "ps()", "ls", at=7200, user="bob", host="web-2", component="billing"),
    )


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("nginx", ["shell"]),  # a command
        ("locked database", ["run"]),  # an error
        ("PORT", ["run"]),  # the error of a step
        ("unpack", ["run"]),  # the title of a step
        ("deploy tracking", ["run"]),  # the title of a session
        ("/srv", ["shell"]),  # a folder
        ("billing", ["other"]),  # a component
        ("web-2", ["other", "shell"]),  # a host; the other one has half of it
        ("bob", ["other"]),  # a user
        ("system", ["shell"]),  # the beginning of a word
        ("ystemctl", []),  # not its middle
        ("database%' OR TRUE --", ["run"]),  # no SQL
    ],
)
def test_it_finds_what_is_told(told, query, found):
    answer = told.search(query, search_type="text")
    assert list(dict.fromkeys(sessions(answer))) == found


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (SearchFilter(user="bob"), ["other"]),
        (SearchFilter(host="web-1"), ["shell"]),
        (SearchFilter(component="billing"), ["other"]),
        (SearchFilter(session_type="runbook"), []),
        (SearchFilter(session_type="admin_shell", user="ada"), ["shell"]),
        (SearchFilter(since=NINE + timedelta(hours=1)), ["other"]),
        (SearchFilter(until=NINE + timedelta(hours=1)), ["shell"]),
        (SearchFilter(exit_code=0), ["other"]),
        (SearchFilter(exit_code=3), []),
        (SearchFilter(failed=True), []),
        (SearchFilter(), ["other"]),
    ],
)
def test_filters_choose_among_the_events_of_a_text(told, wanted, found):
    assert sessions(told.search("ps", search_type="text", wanted=wanted)) == found


def test_what_failed_can_be_asked_for(told):
    failed = SearchFilter(failed=True)
    answer = told.search("start database step unpack", search_type="text", wanted=failed)
    assert {hit.event.event_type for hit in answer.hits} == {"step", "error", "session_end"}
    assert [hit.event.exit_code for hit in answer.hits if hit.event.event_type == "step"] == [3]
    (port,) = told.search("port", search_type="text", wanted=SearchFilter(exit_code=3)).hits
    assert port.text == "Start\nport taken"


def test_a_text_is_one_hit_with_its_newest_event(told):
    (hit,) = told.search("ps", search_type="text").hits
    assert (hit.event.session_id, hit.occurrences, hit.found_by) == ("other", 2, "text")
    assert (hit.similarity, hit.text) == (None, "ps()")


def test_repeats_are_hits_of_their_own_when_asked_for(told):
    answer = told.search("ps", search_type="text", repeats=True)
    assert sessions(answer) == ["other", "shell"]
    assert len(told.search("ps", search_type="text", repeats=True, limit=1).hits) == 1


def test_a_hit_brings_its_session_and_its_neighbours(told):
    (hit,) = told.search("unpack", search_type="text", context=2).hits
    assert (hit.session.session_id, hit.session.status) == ("run", "failed")
    assert hit.event.data == {"text": "unpack the release"}
    assert [one.event_type for one in hit.before] == ["session_start"]
    assert [one.event_type for one in hit.after] == ["step", "error"]
    (alone,) = told.search("unpack", search_type="text", context=0).hits
    assert (alone.before, alone.after) == ([], [])


def test_an_event_without_a_session_is_found_too(service):
    tell(service, event("ghost", text="who started this"))
    (hit,) = service.search("started").hits
    assert (hit.session, hit.event.session_id) == (None, "ghost")


RANKING = [
    "database locked",
    "the database was locked",
    "locked the door of the room with the database",
    "database and a few other things",
    "databases",
]


def test_ranking(service):
    """Side by side, near, apart; one word of two; the beginning of a longer word."""
    other = [f"something else {number}" for number in range(20)]
    tell(service, *session("s", *RANKING[::-1], *other))
    assert texts(service.search("Database LOCKED", search_type="text")) == RANKING


def test_a_rare_word_counts_more_than_a_common_one(service):
    common = [f"restart worker {number}" for number in range(30)]
    tell(service, *session("s", *common, "drain worker", "stop worker"))
    assert texts(service.search("drain worker", search_type="text"))[0] == "drain worker"
    assert texts(service.search("worker drain"))[0] == "drain worker"


def test_of_equals_the_newest_comes_first(service):
    tell(service, *session("old", "alpha beta"), *session("new", "alpha gamma", at=60))
    assert sessions(service.search("alpha", search_type="text")) == ["new", "old"]


def test_the_limit_is_kept(service):
    tell(service, *session("s", *(f"job {number}" for number in range(250))))
    assert len(service.search("job").hits) == 20
    assert len(service.search("job", limit=200, context=0).hits) == 200


def test_archived_sessions_only_when_asked_for(service):
    tell_all(service)
    service._writer.call(lambda writing: archive_batch(writing, NINE + timedelta(days=1))).result()
    assert sessions(service.search("database", search_type="text")) == []
    (hit,) = service.search("database", wanted=SearchFilter(archived=True)).hits
    assert (hit.session.session_id, hit.session.archived) == ("run", True)
    assert [one.event_type for one in hit.before] == ["step"]
    assert sessions(service.search("ps", search_type="text")) == ["other"]
    by_host = SearchFilter(archived=True, host="build")
    assert sessions(service.search("locked", wanted=by_host)) == ["run"]
    progress = service.reindex(from_scratch=True)
    assert indexed(service).indexed == progress.events


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"query": " "}, "the query is empty"),
        ({"query": "x" * 1001}, "1000 characters"),
        ({"query": "&& ()"}, "no word to search for"),
        ({"query": "x", "search_type": "magic"}, "not a type of search"),
        ({"query": "x", "limit": 0}, "limit"),
        ({"query": "x", "limit": 201}, "limit"),
        ({"query": "x", "context": 21}, "context"),
    ],
)
def test_what_cannot_be_answered_is_refused(service, asked, says):
    with pytest.raises(InvalidInput, match=says):
        service.search(**asked)


def test_without_a_model_words_are_the_default_and_the_reason_is_told(told):
    answer = told.search("database")
    assert (answer.search_type, answer.unembedded) == ("text", 0)
    assert answer.note == (
        "Semantic search: not available; get the model with: session-buddy models fetch"
    )
    assert told.search("database", search_type="text").note == ""


@pytest.mark.parametrize("search_type", ["semantic", "hybrid"])
def test_without_a_model_meaning_fails_with_the_line_of_health(told, search_type):
    with pytest.raises(SemanticUnavailable) as refusal:
        told.search("database", search_type=search_type)
    assert refusal.value.message == "Semantic search: not available"
    assert refusal.value.hint == "get the model with: session-buddy models fetch"
    assert refusal.value.exit_code == 1
