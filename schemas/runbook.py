"""The runbook file: what a person writes."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from schemas.errors import InvalidInput
from schemas.units import parse_duration

IDENTIFIER = re.compile(r"[a-z][a-z0-9_]*")
NAME = re.compile(r"[a-z][a-z0-9-]*")
TASK = re.compile(r"[a-z][a-z0-9_]*\.[a-z][a-z0-9_]*")


def _duration(value: Any) -> str:
    try:
        parse_duration(str(value))
    except InvalidInput as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return str(value)


def _matching(pattern: re.Pattern[str], rule: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} is not valid here: {rule}")
        return text

    return AfterValidator(check)


Duration = Annotated[str, BeforeValidator(_duration)]
StepId = Annotated[
    str, _matching(IDENTIFIER, "small letters, digits and _, starting with a letter")
]
RunbookName = Annotated[str, _matching(NAME, "small letters, digits and -, starting with a letter")]
TaskName = Annotated[str, _matching(TASK, "a collection and a task, such as config.render")]


class Strict(BaseModel):
    """Unknown keys fail, except those that begin with ``x-``; nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_free_keys(cls, data: Any) -> Any:
        if isinstance(data, dict):
            return {key: value for key, value in data.items() if not str(key).startswith("x-")}
        return data


class Parameter(Strict):
    """A parameter of a runbook."""

    type: Literal["string", "integer", "number", "boolean", "list"] = "string"
    default: Any = None
    required: bool = False
    secret: bool = False
    env: str = Field("", description="variable that gives the value when the command line does not")
    choices: list[Any] = []
    help: str = ""


class Retry(Strict):
    """Try again after a failure."""

    limit: int = Field(3, ge=1, description="tries in all")
    delay: Duration = "1s"
    backoff: float = Field(1.0, ge=1, description="each delay is this many times the one before")
    on_exit_codes: list[int] = Field(
        [], description="only after these exit codes; empty: after any"
    )


class Approval(Strict):
    """A question to a person before the step."""

    prompt: str
    timeout: Duration = "1h"
    by: list[str] = Field([], description="who may answer; empty: anyone with the scope")
    allow_yes: bool = Field(False, description="--yes on the command line is an answer")


class NoUndo(Strict):
    """Says why a step needs no undo."""

    none: str = Field(min_length=1, description="the reason")


class Action(Strict):
    """What is done: exactly one of ``task``, ``run``, ``runbook`` and ``manual``."""

    task: TaskName | None = None
    run: str | None = Field(None, description="a line for sh")
    runbook: RunbookName | None = None
    manual: str | None = Field(None, description="text for a person, who confirms when it is done")
    arguments: dict[str, Any] = Field({}, alias="with")
    env: dict[str, str] = {}
    sudo: bool = False
    timeout: Duration | None = None
    retry: Retry | None = None
    allow_yes: bool = Field(False, description="of manual: --yes says that it is done")

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [
            kind for kind in ("task", "run", "runbook", "manual") if getattr(self, kind) is not None
        ]
        if len(kinds) != 1:
            found = " and ".join(kinds) or "none of them"
            raise ValueError(f"needs exactly one of task, run, runbook, manual; found {found}")
        if self.arguments and kinds[0] in {"run", "manual"}:
            raise ValueError(f"'with' goes with task or runbook, not with {kinds[0]}")
        if self.allow_yes and kinds[0] != "manual":
            raise ValueError("'allow_yes' goes with manual, or below approval")
        return self

    @property
    def kind(self) -> str:
        """``task``, ``run``, ``runbook`` or ``manual``."""
        return next(
            kind for kind in ("task", "run", "runbook", "manual") if getattr(self, kind) is not None
        )


class Check(Action):
    """A precondition, a verification or a handler's step; named like a step when that helps."""

    id: StepId | None = None
    name: str = ""
    when: str | None = None
    ignore_errors: bool = False


class Step(Action):
    """One step."""

    id: StepId
    name: str = ""
    when: str | None = None
    loop: list[Any] | str | None = None
    approval: Approval | None = None
    ignore_errors: bool = False
    register_as: StepId | None = Field(None, alias="register")
    hosts: str | None = None
    run_once: bool = False
    guide: str | None = None
    verify: Check | None = None
    undo: NoUndo | Check | None = None

    @property
    def title(self) -> str:
        """The name, or else the id in words."""
        return self.name or self.id.replace("_", " ").capitalize()


class OnFailure(Strict):
    """What happens after a step failed: first the rollback, then the steps."""

    rollback: Literal["auto", "never"] = "auto"
    steps: list[Check] = []


class Schedule(Strict):
    """When the runbook starts by itself."""

    cron: str
    overlap: Literal["skip", "queue"] = "skip"
    catch_up: bool = False


class Runbook(Strict):
    """A runbook file."""

    schema_version: Literal[1]
    name: RunbookName
    title: str
    description: str = ""
    guide: list[str] = []
    alerts: list[str] = []
    severity: Literal["P1", "P2", "P3", "P4"] | None = Field(
        None, description="of the incident that it answers (guide 8.4)"
    )
    allow: list[Literal["read", "operate", "admin"]] = ["operate"]
    params: dict[StepId, Parameter] = {}
    hosts: str = "all"
    serial: list[int | str] = []
    max_fail_percentage: int = Field(0, ge=0, le=100)
    lock: RunbookName | None = None
    timeout: Duration = "1h"
    recording: Literal["best_effort", "strict"] = "best_effort"
    preconditions: list[Check] = []
    steps: list[Step] = Field(min_length=1)
    on_failure: OnFailure = OnFailure()
    on_success: list[Check] = []
    on_exit: list[Check] = []
    schedule: Schedule | None = None

    @model_validator(mode="after")
    def _ids_once(self) -> Self:
        seen: set[str] = set()
        for step in self.steps:
            if step.id in seen:
                raise ValueError(f"two steps have the id {step.id!r}")
            seen.add(step.id)
        return self
