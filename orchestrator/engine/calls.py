"""Doing one call once on one host: a task, a line of sh, a question to a person.

Knows nothing of retries, conditions or the journal.
"""

from __future__ import annotations

import traceback
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from orchestrator.engine.arguments import type_fault
from orchestrator.engine.ask import Question
from orchestrator.engine.references import secret_in_line
from orchestrator.tasks.catalogue import parameters_of
from orchestrator.tasks.command import CommandFailed, run_line
from orchestrator.tasks.outcome import Outcome, promises_outcome
from orchestrator.tasks.scope import Scope, attach
from schemas.errors import InvalidInput, SessionopsError, StepFailed

if TYPE_CHECKING:
    from collections.abc import Callable

    from invoke.context import Context
    from invoke.tasks import Task

    from orchestrator.engine.ask import Answer
    from orchestrator.engine.planned import Call, HostPlan
    from orchestrator.redact import SecretRegistry
    from orchestrator.tasks.catalogue import Catalogue


class Caller:
    """Does calls on one host.

    Args:
        context: the host's Context or Connection.
        scope: what tasks may know; each call gets a copy with its own limits.
        ask: puts a question to a person.
        trace: keeps the traceback of a fault in a task.
    """

    def __init__(
        self,
        context: Context,
        scope: Scope,
        ask: Callable[[Question], Answer],
        trace: Callable[[str], None],
    ) -> None:
        self.context = context
        self.scope = scope
        self._ask = ask
        self._trace = trace

    def seeing(self, variables: dict[str, Any]) -> Caller:
        """The same host with other variables for templates."""
        scope = replace(self.scope, variables=variables)
        return Caller(self.context, scope, self._ask, self._trace)

    def perform(self, call: Call, catalogue: Catalogue, step: str, deadline: float) -> Outcome:
        """Do it.

        Args:
            call: with every value settled.
            catalogue: the tasks that it can name.
            step: the step's id, for questions.
            deadline: on ``time.monotonic()``.

        Raises:
            SessionopsError: it could not be done.
        """
        sudo = call.sudo or self.scope.host.sudo
        limits = replace(self.scope, sudo=sudo, env=dict(call.env), deadline=deadline)
        attach(self.context, limits)
        try:
            if call.kind == "task":
                return self._task(call, catalogue.task_named(call.what))
            if call.kind == "run":
                return self._line(call)
            return self._manual(call, step)
        except SessionopsError:
            raise
        except (Exception, SystemExit) as error:  # the task may be anybody's
            self._trace(traceback.format_exc())
            raise StepFailed(
                f"{call.what}: {type(error).__name__}: {error}",
                where=call.where,
                hint="this is a fault in the task; its traceback is in the run's trace.log",
            ) from error

    def _task(self, call: Call, task: Task[Any]) -> Outcome:
        parameters = parameters_of(task)
        for name, value in call.arguments.items():
            fault = type_fault(parameters[name], value) if name in parameters else None
            if fault:
                raise InvalidInput(f"{call.what}: {fault[0]}", where=call.where, hint=fault[1])
        if self.scope.check and not promises_outcome(task):
            return Outcome(changed=True, message=f"would run {call.summary()}")
        answer = task.body(self.context, **call.arguments)
        if isinstance(answer, Outcome):
            return answer
        return Outcome(changed=True)

    def _line(self, call: Call) -> Outcome:
        if self.scope.secrets.is_in(call.what):
            raise secret_in_line(call.where)
        if self.scope.check:
            return Outcome(changed=True, message=f"would run: {call.summary()}")
        result = run_line(self.context, call.what)
        return Outcome(changed=True, outputs=command_outputs(result))

    def _manual(self, call: Call, step: str) -> Outcome:
        if self.scope.check:
            return Outcome(changed=True, message="would ask a person")
        question = Question(
            self.scope.run_id,
            step,
            call.what,
            "manual",
            call.timeout,
            (),
            call.allow_yes,
            host=self.scope.host.name,
        )
        answer = self._ask(question)
        if not answer.yes:
            raise StepFailed(f"{answer.by} says that it was not done", where=call.where)
        return Outcome(changed=True, message=f"done by {answer.by}")


def scope_of(host: HostPlan, secrets: SecretRegistry, run_id: str, *, check: bool) -> Scope:
    """What tasks may know on a host of a run."""
    return Scope(
        check=check,
        host=host.facts,
        places=host.facts.places,
        settings=host.settings,
        variables=host.variables,
        saved=host.facts.places.state / "saved" / run_id,
        secrets=secrets,
        run_id=run_id,
    )


def command_outputs(result: Any) -> dict[str, Any]:
    """What ``steps.<id>.outputs`` has of a command."""
    return {
        "stdout": result.stdout.rstrip("\n"),
        "stderr": result.stderr.rstrip("\n"),
        "exit_code": result.exit_code,
    }


def exit_code_of(error: SessionopsError) -> int | None:
    """The exit code of the command that failed; None when it was no command, or it was ended."""
    if isinstance(error, CommandFailed) and error.result is not None:
        return error.result.exit_code
    return None


def outputs_of(error: SessionopsError) -> dict[str, Any]:
    """The outputs of a failed command."""
    if isinstance(error, CommandFailed) and error.result is not None:
        return command_outputs(error.result)
    return {}
