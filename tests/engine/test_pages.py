"""Committed pages say what runbooks and tasks say; a person can follow them by hand."""

from __future__ import annotations

from orchestrator.operations import runbook_pages, task_pages
from orchestrator.pages.folder import differing, write
from orchestrator.pages.task import argument_helps, sections
from schemas.places import ops_folder


def test_our_committed_pages_are_what_the_files_say():
    stale = differing(ops_folder(), runbook_pages() | task_pages())
    assert stale == [], "run: invoke runbook.docs --write; invoke task.docs --write"


def test_a_page_shows_commands_checks_and_undo(ops):
    ops.write(
        "fix",
        """
        description: Mends it.
        alerts: [Ill]
        params: {size: {type: integer, required: true, help: how big}}
        preconditions: [{name: Room, task: check.disk, with: {path: /tmp, free: 1MB}}]
        steps:
          - {id: a, name: Link, task: files.link, with: {path: "/tmp/a b", target: /b}, sudo: true}
          - id: b
            when: params.size > 1
            run: touch "$F"
            env: {F: /tmp/f}
            verify: {run: test -f /tmp/f, retry: {limit: 2, delay: 2s}}
            undo: {run: rm /tmp/f}
          - {id: c, manual: "Look at it.", approval: {prompt: Now?}, undo: {none: looks}}
          - {id: d, task: trial.counted, with: {number: 1, names: [x, "y z"]}}
        """,
    )
    text = runbook_pages(ops.folder)["docs/runbooks/fix.md"]
    for piece in (
        "Answers the alerts | `Ill` |",
        "`invoke runbook.run fix --param size=...`",
        "| `size` | integer | must be given | how big |",
        "invoke check.disk --path /tmp --free 1MB",
        "As root.\n\n```sh\ninvoke files.link --path '/tmp/a b' --target /b\n```",
        "Undo: what the task recorded",
        "Only when `params.size > 1`.",
        'export F=/tmp/f\ntouch "$F"',
        "Verify: up to 2 times, 2s apart:\n\n```sh\ntest -f /tmp/f",
        "Undo:\n\n```sh\nrm /tmp/f",
        "Asks first: Now? (waits 1h).\n\n> Look at it.",
        "Undo: none, because looks.",
        "invoke trial.counted --number 1 --names x --names 'y z'",
    ):
        assert piece in text, f"{piece}\n---\n{text}"


def test_pages_that_differ_are_told_of_and_written_and_orphans_go(ops):
    path = ops.write("one", "steps:\n  - {id: a, run: 'true', undo: {none: looks}}\n")
    first = write(ops.folder, runbook_pages(ops.folder))
    assert first == ["docs/runbooks/README.md", "docs/runbooks/one.md"]
    assert differing(ops.folder, runbook_pages(ops.folder)) == []
    own = ops.folder / "docs" / "runbooks" / "notes.md"
    own.write_text("by hand")
    path.unlink()
    ops.write("two", "steps:\n  - {id: a, run: 'true', undo: {none: looks}}\n")
    assert write(ops.folder, runbook_pages(ops.folder)) == [
        "docs/runbooks/README.md",
        "docs/runbooks/one.md",
        "docs/runbooks/two.md",
    ]
    assert own.exists(), "a page that somebody wrote stays"
    assert not (own.parent / "one.md").exists()


def test_the_catalogue_shows_ones_own_tasks_with_defaults(ops):
    text = task_pages(ops.folder)["docs/tasks.md"]
    assert "### trial.put\n\nWrite a file unless it says that already." in text
    assert "| `mode` | `str` | `'0600'` |" in text
    assert "Changes nothing." in text.partition("### http.check")[2].partition("###")[0]
    assert "### trial.plain" in text
    assert "Check mode skips it" in text.partition("### trial.plain")[2].partition("###")[0]


def test_helps_of_arguments_are_read_from_docstrings():
    doc = (
        "Do.\n\n    Args:\n        a: one\n            more.\n        b: two: three.\n\n"
        "    Raises:\n        X: y.\n"
    )
    assert argument_helps(doc) == {"a": "one more.", "b": "two: three."}
    assert sections(doc)[""][0] == "Do."
