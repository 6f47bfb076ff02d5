"""Search as people and programs ask for it: the command, the API, a server that dies."""

from __future__ import annotations

import json
import subprocess
import sys

import duckdb
import pytest
from deployments import COMMAND, deployment
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from search_sessions import event, session, tell, until

from schemas.errors import InvalidInput, NotAuthorised
from tracker.metrics import registry_for
from tracker.search.catalogue import MINILM
from tracker.search.probe import FETCH
from tracker.search.proof import prove
from tracker.web.identity import Identity

PIPELINE = "started the nightly pipeline, it schedules jobs that depend on one another"
SEARCH = "/api/v1/search"
INDEX = "/api/v1/search/index"


class Commanded:
    """A deployment with a server that runs, and the command in it."""

    def __init__(self, made):
        self.made = made

    def run(self, *arguments, **environ):
        return subprocess.run(
            [str(COMMAND), *arguments],
            env={**self.made.environ, **environ},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    def output(self, *arguments, **environ):
        result = self.run(*arguments, **environ)
        assert (result.returncode, result.stderr) == (0, ""), result.stderr
        return result.stdout

    def send(self, *events):
        body = {"events": [one.model_dump(mode="json", exclude_none=True) for one in events]}
        with self.made.client("ingest") as client:
            client.post("/api/v1/events", body)

    def progress(self):
        with self.made.client("read") as client:
            return client.get(INDEX)

    def is_complete(self):
        progress = self.progress()
        embedded = not progress["model"] or progress["embedded"] == progress["texts"]
        return progress if progress["indexed"] == progress["events"] and embedded else None


def commanded(folder, model=None):
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = deployment(folder, monkeypatch)
    if model is not None:
        made.places.models.mkdir(parents=True)
        (made.places.models / model.name).symlink_to(model)
        prove(made.places.models / model.name, MINILM)
    return Commanded(made)


@pytest.fixture(scope="module")
def up(model_folder, tmp_path_factory):
    """A server with a model and a few sessions, for the tests that only ask."""
    up = commanded(tmp_path_factory.mktemp("searched"), model_folder)
    up.output("mcp", "start")
    up.send(
        *session("pipeline", "ls", PIPELINE, user="ada", host="web-1"),
        *session("disk", "the disk of the mail server is full", user="bob"),
        event("disk", "error", at=9, data={"message": "database is locked"}),
    )
    until(up.is_complete, "the index")
    yield up
    up.output("mcp", "stop")


def test_the_guides_search_finds_what_never_has_these_words(up):
    """Guide 4.3."""
    result = up.run("search", "workflow orchestration", COLUMNS="120")
    assert (result.returncode, result.stderr) == (
        0,
        "searched by words and by meaning (hybrid)\n",
    )
    lines = result.stdout.splitlines()
    titles = [cell.strip() for cell in lines[1].strip("│").split("│")]
    assert (titles[0], titles[1], titles[-1]) == ("Session ID", "Time", "Text")
    assert lines[3].startswith("│ pipeline")
    assert "started the nightly" in lines[3]
    assert all(len(line) <= 120 for line in lines)


def test_on_a_wide_screen_it_tells_how_each_was_found(up):
    wide = up.run("search", "database locked", COLUMNS="200").stdout.splitlines()
    assert "Found by" in wide[1]
    assert "both 0." in wide[3]


def test_the_guides_text_search(up):
    """Guide 6.1, issue 5."""
    result = up.run("search", "workflow orchestration", "--search-type", "text")
    assert (result.returncode, result.stdout) == (0, "nothing found\n")
    assert result.stderr == "searched by words (text)\n"
    found = up.run("search", "database", "locked", "--search-type", "text")
    assert found.stdout.splitlines()[3].startswith("│ disk")


def test_json_has_the_hits_with_session_and_neighbours(up):
    answer = json.loads(up.output("search", "locked", "--json", "--search-type", "text"))
    assert (answer["query"], answer["search_type"]) == ("locked", "text")
    (hit,) = answer["hits"]
    assert (hit["event"]["event_type"], hit["session"]["user"]) == ("error", "bob")
    assert [one["event_type"] for one in hit["before"]] == ["command"]
    assert hit["after"] == []


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--user", "bob"], ["disk"]),
        (["--host", "web-1"], ["pipeline"]),
        (["--component", "nobody"], []),
        (["--type", "runbook"], []),
        (["--failed"], ["disk"]),
        (["--exit", "0", "--user", "ada"], ["pipeline"]),
        (["--exit", "1"], []),
        (["--since", "2026-11-24T00:00Z"], []),
        (["--until", "2026-11-24T00:00Z", "--limit", "1"], ["pipeline"]),
        (["--archived", "--limit", "1"], ["pipeline"]),
    ],
)
def test_filters(up, options, found):
    answer = json.loads(up.output("search", "scheduled jobs", "--json", *options))
    assert list(dict.fromkeys(hit["event"]["session_id"] for hit in answer["hits"])) == found


def test_reindex_says_how_far_it_is(up):
    texts = up.progress()["texts"]
    told = f"6 of 6 events can be found by words\n{texts} of {texts} texts by meaning"
    assert up.output("models", "reindex") == f"{told} (all-MiniLM-L6-v2)\n"
    assert up.output("models", "reindex", "--from-scratch") == f"{told} (all-MiniLM-L6-v2)\n"
    assert json.loads(up.output("models", "reindex", "--json"))["embedded"] == texts


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search"], "Missing argument 'QUERY...'"),
        (["search", "x", "--search-type", "magic"], "'magic' is not one of"),
        (["search", "x", "--limit", "0"], "0 is not in the range"),
        (["search", "x", "--since", "soon"], "'soon' is not a time"),
        (["search", "&&"], "has no word to search for"),
    ],
)
def test_wrong_usage_is_exit_code_2(up, arguments, says):
    result = up.run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert says in result.stderr


def test_a_search_imports_nothing_heavy(up):
    heavy = {"pydantic", "duckdb", "jwt", "starlette", "structlog", "psutil", "rich", "yaml"}
    probe = (
        "import sys\nfrom tracker.cli import main\n"
        f"try:\n    main()\nfinally:\n    print(sorted(set(sys.modules) & {heavy!r}))\n"
    )
    argv = [sys.executable, "-c", probe, "search", "ls"]
    subprocess.run([str(COMMAND), "search", "ls"], env=up.made.environ, check=True)
    done = subprocess.run(argv, env=up.made.environ, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"q": "x", "typo": "1"},
        {"q": "x", "limit": "many"},
        {"q": "x", "limit": "-1"},
        {"q": "x", "context": "99"},
        {"q": "x", "failed": "perhaps"},
        {"q": "x", "since": "0000-00-00"},
        {"q": "x", "search_type": "all"},
        {"q": "\x00"},
    ],
)
def test_the_api_refuses_what_it_cannot_answer(up, query):
    with up.made.client("read") as client, pytest.raises(InvalidInput):
        client.get(SEARCH, **query)


@pytest.mark.parametrize("body", [[], {"from_scratch": 1}, {"more": True}])
def test_the_api_refuses_an_odd_reindex(up, body):
    with up.made.client("operate") as client, pytest.raises(InvalidInput):
        client.post(INDEX, body)


def test_scopes(up):
    with up.made.client("ingest") as client, pytest.raises(NotAuthorised):
        client.get(SEARCH, q="x")
    with up.made.client("read") as client, pytest.raises(NotAuthorised):
        client.post(INDEX, {})


@pytest.mark.needs("promtool")
def test_metrics_of_search(knowing):
    tell(knowing, *session("s", "ls"))
    for search_type in ("text", "semantic", "hybrid"):
        knowing.search("ls", search_type=search_type)
    identity = Identity.of_this_process("session-buddy", knowing.settings)
    scraped = generate_latest(registry_for(knowing, identity))
    check = subprocess.run(
        ["promtool", "check", "metrics"], input=scraped, capture_output=True, check=False
    )
    assert (check.returncode, check.stderr) == (0, b"")
    found = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(scraped.decode())
        for sample in family.samples
    }
    name = "session_buddy_search_duration_seconds"
    assert found[f"{name}_count", "semantic"] == found[f"{name}_bucket", "+Inf", "semantic"] == 1
    assert found["session_buddy_search_index_waiting", "texts"] == 0


def test_a_model_that_comes_later_is_used_without_a_restart(model_folder, tmp_path):
    up = commanded(tmp_path)
    up.output("mcp", "start")
    try:
        up.send(*session("pipeline", PIPELINE))
        until(up.is_complete, "the words")
        refused = up.run("search", "workflow orchestration", "--search-type", "semantic")
        assert (refused.returncode, refused.stderr) == (
            1,
            f"error: Semantic search: not available\n  {FETCH}\n",
        )
        by_words = up.run("search", "nightly")
        assert by_words.stderr.splitlines()[0] == "searched by words (text)"
        assert "session-buddy models fetch" in by_words.stderr
        assert up.output("models", "reindex").splitlines()[1].startswith("Semantic search: not")
        up.output("models", "fetch", "--source", str(model_folder))
        assert "2 of 2 texts by meaning" in up.output("models", "reindex")
        found = up.output("search", "workflow orchestration", "--search-type", "semantic", "--json")
        assert json.loads(found)["hits"][0]["event"]["session_id"] == "pipeline"
    finally:
        up.output("mcp", "stop")


def test_a_server_that_is_killed_goes_on_where_it_was(model_folder, tmp_path):
    """kill -9 while vectors are added: nothing is lost, and nothing is there twice."""
    up = commanded(tmp_path, model_folder)
    words = ["deploy", "verify", "restore", "rotate", "drain", "scale", "resume", "cancel"]
    sent = [
        session(f"s{number}", *(f"{word} the unit {number}" for word in words))
        for number in range(40)
    ]
    up.output("mcp", "start")
    up.send(*(one for events in sent for one in events))
    last = 0
    for _ in range(2):
        until(lambda: last < up.progress()["embedded"], "more vectors")  # noqa: B023
        last = up.progress()["embedded"]
        up.made.kill()
        up.output("mcp", "start")
        assert up.progress()["embedded"] >= last
    progress = until(up.is_complete, "the index")
    assert (progress["events"], progress["texts"]) == (360, 321)
    up.output("mcp", "stop")
    with duckdb.connect(str(up.made.places.database), read_only=True) as stored:
        vectors = "SELECT count(*), count(DISTINCT text_id), count(DISTINCT position)"
        assert stored.execute(f"{vectors} FROM search_vectors").fetchone() == (321, 321, 321)
        entries = "SELECT count(*), count(DISTINCT event_id) FROM search_events"
        assert stored.execute(entries).fetchone() == (360, 360)
