"""What the face of a run is told, and what happens when it cannot hear."""

from __future__ import annotations

import os
import signal

from orchestrator.console import fault_of


def test_a_face_that_breaks_does_not_break_the_run(ops):
    heard = []

    def listen(event):
        heard.append(event.kind)
        raise BrokenPipeError

    text = 'steps: [{id: a, run: "touch {work}/a", undo: {none: nothing}}]'
    result = ops.run(text, listen=listen)
    assert (result.state, result.exit_code, ops.left()) == ("succeeded", 0, {"a"})
    assert heard == ["started"]
    assert result.notes == ["not all of this was shown: BrokenPipeError"]


def test_an_unnamed_check_is_called_by_its_title(ops):
    text = """
    preconditions: [{name: Room enough, task: trial.fail, with: {message: no room}}]
    steps: [{id: a, run: "true"}]
    """
    result = ops.run(text)
    assert result.record.error == "Room enough on this-machine: no room"
    assert fault_of(result).startswith("Room enough on this-machine: no room")
    assert result.record.failed_step == "precondition_1"


def test_a_run_that_was_stopped_at_once_says_how_to_heal_it(ops):
    text = """
    steps:
      - {id: a, run: "touch {work}/a", undo: {none: it stays}}
      - {id: b, run: "sleep 20"}
    """

    def listen(event):
        if event.entry is not None and (event.entry.step, event.entry.state) == ("b", "started"):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)

    result = ops.run(text, listen=listen)
    assert result.state == "cancelled"
    fault = fault_of(result)
    assert fault.startswith("stopped at once by a second SIGINT")
    assert fault.endswith("run it again to heal it")
