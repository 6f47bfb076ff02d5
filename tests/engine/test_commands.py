"""Commands are quoted in one place, and a failure says which command, how and where."""

from __future__ import annotations

import dataclasses

import pytest
from invoke import Context, MockContext
from invoke.runners import Result as InvokeResult

from orchestrator.engine.connect import local_context
from orchestrator.tasks import command
from orchestrator.tasks.scope import attach, scope


class Recording(MockContext):
    """Answers every command, and remembers it."""

    def __init__(self, stdout="", exited=0):
        super().__init__()
        object.__setattr__(self, "lines", [])
        object.__setattr__(self, "answer", InvokeResult(stdout, exited=exited))

    def run(self, line, **options):
        self.lines.append(line)
        return self.answer


def scoped(c, **changes):
    """The context with a scope that differs from this machine's."""
    host = changes.pop("host", {})
    here = scope(c)
    changed = dataclasses.replace(here, host=dataclasses.replace(here.host, **host), **changes)
    attach(c, changed)
    return c


@pytest.mark.parametrize(
    ("argv", "changes", "options", "line"),
    [
        (["ls", "a b"], {}, {}, "ls 'a b'"),
        (["ls", "$HOME; rm x"], {}, {}, "ls '$HOME; rm x'"),
        (["ls"], {}, {"cwd": "/a b"}, "cd '/a b' || exit\nls"),
        (["ls"], {"sudo": True, "host": {"is_root": False}}, {}, "sudo -n -- sh -c ls"),
        (["ls"], {"sudo": True, "host": {"is_root": True}}, {}, "ls"),
        (
            ["ls"],
            {"sudo": True, "env": {"B": "2"}, "host": {"is_root": False}},
            {"env": {"A": "1"}},
            "sudo -n --preserve-env=A,B -- sh -c ls",
        ),
    ],
)
def test_argv_becomes_a_line(ops, argv, changes, options, line):
    c = scoped(Recording(), **changes)
    command.run(c, argv, **options)
    assert c.lines == [line]


def test_a_failure_names_the_command_without_secrets_and_the_last_lines(ops):
    c = local_context()
    scope(c).secrets.add("hunter22")
    with pytest.raises(command.CommandFailed) as failed:
        command.run_line(c, "echo one >&2; echo hunter22 is wrong >&2; exit 4")
    assert failed.value.message == "echo one >&2; echo ******** is wrong >&2; exit 4 ended with 4"
    assert failed.value.hint == "one | ******** is wrong"
    assert failed.value.result.exit_code == 4


def test_a_result_is_falsy_when_the_command_failed(ops):
    assert not command.run(local_context(), ["false"], check=False)
    assert command.run(local_context(), ["true"])


@pytest.mark.parametrize("make", [Context, local_context])
def test_a_task_works_from_the_command_line_as_in_a_run(ops, make):
    c = make()
    path = ops.work / "deep" / "file"
    command.write_file(c, path, b"\0\xff", 0o640)
    assert (command.read_file(c, path), oct(path.stat().st_mode)[-3:]) == (b"\0\xff", "640")
    assert command.read_file(c, ops.work / "none") is None
    assert command.run(c, ["cat"], input="in").stdout == "in"
    assert [one.name for one in path.parent.iterdir()] == ["file"]


def test_output_can_be_shown_while_it_comes(ops, capfd):
    result = command.run(local_context(), ["echo", "hello"], hide=False)
    assert result.stdout == capfd.readouterr().out == "hello\n"


def test_a_file_that_cannot_be_written_leaves_what_was_there(ops):
    (ops.work / "folder" / "below").mkdir(parents=True)
    with pytest.raises(command.StepFailed, match="cannot write"):
        command.write_file(local_context(), ops.work / "folder", b"x", 0o600)
    assert [one.name for one in ops.work.iterdir()] == ["folder"]
