"""What is said to whoever asks a run to stop."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from orchestrator.engine.stop_notice import StopNotice


def change(host, call="something"):
    return SimpleNamespace(host=host, call=call)


@pytest.mark.parametrize(
    ("rollback", "check", "changes", "said"),
    [
        (True, False, [], "then undoing: so far there is nothing to undo"),
        (True, False, [change("h1", None)], "then undoing: so far there is nothing to undo"),
        (True, False, [change("h1")], "then undoing 1 change on h1 so far"),
        (True, False, [change("h1")] * 2, "then undoing 2 changes on h1 so far"),
        (True, False, [change("h1"), change("h2")], "then undoing 2 changes on 2 hosts so far"),
        (False, False, [change("h1")], "1 change on h1 stays, as the runbook wants"),
        (False, False, [change("h1")] * 2, "2 changes on h1 stay, as the runbook wants"),
        (True, True, [], "nothing is changed by a check"),
    ],
)
def test_what_follows_is_said_with_how_much_and_where(rollback, check, changes, said):
    notice = StopNotice(rollback, SimpleNamespace(check=check, changes=changes))
    assert notice.consequence() == said


def test_before_the_run_has_begun_there_is_nothing_to_undo():
    assert StopNotice(rollback=True).consequence() == "nothing has been changed yet"
