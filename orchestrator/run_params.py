"""What a run's record gives to plan it again: its file and parameters, but for what is secret."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from schemas.errors import InvalidInput
from schemas.places import Places

if TYPE_CHECKING:
    from collections.abc import Mapping

    from schemas.run import RunRecord
    from schemas.runbook import Parameter


def source_of(record: RunRecord) -> str:
    """The file that the run's runbook was read from.

    Raises:
        InvalidInput: an old record, which does not say it.
    """
    if not record.source:
        raise InvalidInput(
            f"the run {record.run_id} does not say which file its runbook was",
            hint=f"run it again: invoke runbook.run {record.runbook}",
        )
    return record.source


def params_again(
    record: RunRecord, given: Mapping[str, Any], environ: Mapping[str, str] = os.environ
) -> dict[str, Any]:
    """The run's parameters; what is secret in them has to come again.

    Args:
        record: the run.
        given: its secrets, by name.
        environ: variables that may hold them.

    Raises:
        InvalidInput: a secret is missing, or a parameter is given that the run knows.
    """
    from orchestrator.engine.checked import Checker
    from orchestrator.engine.load import load_runbook
    from orchestrator.redact import MASK
    from schemas.places import ops_folder

    checker = Checker(Places.of_this_user().state / "cache", remember=False)
    declared = load_runbook(source_of(record), ops_folder(), checker).runbook.params
    hidden = {name for name, value in record.params.items() if MASK in str(value)}
    for name in given:
        if name in record.params and name not in hidden:
            raise InvalidInput(
                f"the parameter {name!r} is {record.params[name]!r} in the run {record.run_id}",
                hint="a run that is resumed keeps its parameters; start a new one for others",
            )
    missing = [
        name
        for name in sorted(hidden)
        if name not in given and not _in_environment(declared.get(name), environ)
    ]
    if missing:
        ways = [f"--param {name}=..." + _variable(declared.get(name)) for name in missing]
        raise InvalidInput(
            f"no record keeps secrets: the parameter {', '.join(missing)} has to be given again",
            where=record.run_id,
            hint="; ".join(ways),
        )
    kept = {name: value for name, value in record.params.items() if name not in hidden}
    return {name: value for name, value in kept.items() if value is not None} | dict(given)


def _in_environment(parameter: Parameter | None, environ: Mapping[str, str]) -> bool:
    return bool(parameter and parameter.env and environ.get(parameter.env))


def _variable(parameter: Parameter | None) -> str:
    return f" or {parameter.env}" if parameter and parameter.env else ""
