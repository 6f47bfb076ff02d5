"""Search by meaning with the real model: texts that share no word with what is asked for."""

from __future__ import annotations

import pytest
from search_sessions import session, sessions, settings_in, tell, texts

from schemas.settings import Settings
from tracker.search.catalogue import MINILM
from tracker.search.finder import SearchRequest
from tracker.search.proof import prove
from tracker.search.search import Search
from tracker.sessions import SessionService
from tracker.store.search_hits import SearchFilter

PIPELINE = "started the nightly pipeline, it schedules jobs that depend on one another"
TASKS = "coordinate several automated tasks and run them in the right sequence"
DISK = "the disk of the mail server is full"


@pytest.fixture(scope="module")
def knowing(model_folder, tmp_path_factory):
    """One service for all tests here, which only ask."""

    settings = settings_in(tmp_path_factory.mktemp("meaning"))
    settings.places.models.mkdir(parents=True)
    (settings.places.models / model_folder.name).symlink_to(model_folder)
    prove(settings.places.models / model_folder.name, MINILM)
    service = SessionService.open(settings, wait=0)
    tell(
        service,
        *session("pipeline", "ls", PIPELINE, user="ada"),
        *session("tasks", TASKS, "ls", user="bob", at=100),
        *session("disk", DISK, "bananas are rich in potassium", user="ada", at=200),
        *session("lock", "cannot open sessions.db, file is in use by PID 4711", at=300),
    )
    yield service
    service.close()


def test_it_finds_what_means_the_same(knowing):
    answer = knowing.search("workflow orchestration", search_type="semantic")
    assert set(sessions(answer)[:2]) == {"pipeline", "tasks"}
    first = answer.hits[0]
    assert first.found_by == "semantic"
    assert first.similarity == pytest.approx(first.score, abs=1e-4)
    assert 0.28 < first.similarity < 0.57


def test_the_default_is_both_and_says_so(knowing):
    answer = knowing.search("workflow orchestration")
    assert (answer.search_type, answer.note) == ("hybrid", "")
    assert (answer.unindexed, answer.unembedded) == (0, 0)
    assert set(sessions(answer)[:2]) == {"pipeline", "tasks"}


def test_what_is_found_by_both_stands_above_what_is_found_by_one(knowing):
    answer = knowing.search("disk full")
    assert (answer.hits[0].text, answer.hits[0].found_by) == (DISK, "both")
    assert {hit.found_by for hit in answer.hits[1:]} == {"semantic"}


def test_filters_hold_for_meaning_too(knowing):
    wanted = SearchFilter(user="ada")
    answer = knowing.search("workflow orchestration", search_type="semantic", wanted=wanted)
    assert texts(answer)[0] == PIPELINE
    assert set(sessions(answer)) == {"pipeline", "disk"}
    assert knowing.search("workflow", wanted=SearchFilter(user="nobody")).hits == []


def test_words_find_nothing_of_it(knowing):
    assert knowing.search("workflow orchestration", search_type="text").hits == []


def test_everything_is_ranked_unless_a_threshold_is_set(knowing):
    everything = knowing.search("workflow orchestration", search_type="semantic")
    assert len(everything.hits) == knowing.index_progress().texts
    places = knowing.settings.places
    strict = Settings.load(places, {"SESSION_BUDDY_SIMILARITY_THRESHOLD": "0.3"})
    search = Search(knowing._database, knowing._writer, strict)
    answer = search.find(SearchRequest("workflow orchestration", "semantic"))
    assert set(sessions(answer)) == {"pipeline", "tasks"}
    search.close()


def test_switched_off_it_says_which_setting_did_it(knowing):
    off = Settings.load(knowing.settings.places, {"SESSION_BUDDY_SEMANTIC_SEARCH": "false"})
    search = Search(knowing._database, knowing._writer, off)
    answer = search.find(SearchRequest("disk"))
    assert answer.search_type == "text"
    assert "$SESSION_BUDDY_SEMANTIC_SEARCH" in answer.note
    search.close()


def test_latencies_are_measured_by_type(knowing):
    before = knowing.search_times().get("text")
    knowing.search("disk", search_type="text")
    after = knowing.search_times()["text"]
    assert sum(after.counts) == (sum(before.counts) if before else 0) + 1
    assert after.seconds > 0
