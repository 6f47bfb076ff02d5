"""What of an event is searched, and which words are in it."""

import pytest

from schemas.session import SessionFacts
from tracker.search.texts import (
    LONGEST_TEXT,
    MOST_WORDS,
    event_text,
    session_text,
    text_key,
    words_of,
)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("systemctl restart session-buddy.service", "systemctl restart session buddy service"),
        ("SESSION_BUDDY_PORT=8678", "session buddy port 8678"),
        ("errors(5)", "errors 5"),
        ("cd /srv/app && ls -la", "cd srv app ls la"),
        ("Straße \uff21\uff22 naïve", "strasse ab naïve"),
        ("сервер не отвечает", "сервер не отвечает"),
        ("| && ()", ""),
    ],
)
def test_words_are_runs_of_letters_and_digits_without_case(text, words):
    assert words_of(text) == words.split()


def test_a_text_has_no_more_words_than_are_useful():
    assert len(words_of("a " * 10_000)) == MOST_WORDS


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"text": "ps()", "outcome": "ok"}, "ps()"),
        ({"text": "sync()", "error": "OSError: no space left"}, "sync()\nOSError: no space left"),
        (
            {"phase": "steps", "step": "tracker", "title": "Start the tracker", "state": "ok"},
            "Start the tracker\ntracker",
        ),
        ({"state": "rolled_back", "error": "no answer", "failed_step": "x"}, "no answer\nx"),
        ({"dropped": 7, "reason": "disk full"}, "disk full"),
        ({"text": " same ", "command": "same"}, "same"),
        ({"text": 7, "message": None, "nested": {"text": "no"}}, ""),
        ({}, ""),
    ],
)
def test_an_event_tells_its_command_its_error_its_step(data, text):
    assert event_text(data) == text


def test_of_a_long_text_both_ends_are_searched():
    text = event_text({"text": f"begin {'x' * 100_000} end"})
    assert text.startswith("begin")
    assert text.endswith("end")
    assert len(text) == LONGEST_TEXT + 1


def test_a_session_tells_who_where_and_on_what():
    facts = SessionFacts(
        component="mahavishnu",
        user="ada",
        host="web-1",
        cwd="/srv",
        run_id="r-7",
        metadata={"title": "Deploy session tracking", "hosts": ["x"]},
    )
    told = session_text(facts)
    assert told.splitlines() == [
        "Deploy session tracking",
        "mahavishnu",
        "admin_shell",
        "ada",
        "web-1",
        "/srv",
        "r-7",
    ]


def test_the_key_of_a_text_is_made_from_it_alone():
    assert text_key("ps()") == text_key("ps()") == 4662426779150931338
    assert text_key("ps()") != text_key("ps( )")
    assert isinstance(text_key("half a pair \ud800"), int)
