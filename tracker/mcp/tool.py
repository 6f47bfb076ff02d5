"""What a tool is: its name, what it takes and answers, and how a call of it ends.

Knows nothing of the MCP library, nor of what the tools do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from schemas.errors import SessionopsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_SHOWN_FAULTS = 10


class Arguments(BaseModel):
    """Base of what a tool takes: no other arguments, and no type is converted."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ToolFailed(Exception):
    """A call that ends in an error that is the caller's to read."""


@dataclass(frozen=True)
class Tool:
    """One tool.

    Args:
        name: as clients call it.
        title: as clients show it.
        description: what it is for, so that an agent chooses it rightly.
        arguments: what it takes.
        answer: the type of what it answers; always an object in JSON.
        run: does it; blocks.
        scope: what the caller's token must allow; empty: any token will do.
        changes: whether it changes what is stored.
    """

    name: str
    title: str
    description: str
    arguments: type[BaseModel]
    answer: Any
    run: Callable[[Any], Any]
    scope: str
    changes: bool = False

    @cached_property
    def input_schema(self) -> dict[str, Any]:
        """What it takes, as JSON Schema."""
        return self.arguments.model_json_schema()

    @cached_property
    def output_schema(self) -> dict[str, Any]:
        """What it answers, as JSON Schema."""
        return self._answers.json_schema(mode="serialization")

    def call(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Run it.

        Args:
            arguments: as they came.

        Returns:
            The answer, as JSON.

        Raises:
            ToolFailed: the arguments are wrong, or what was asked for cannot be had.
        """
        try:
            asked = self.arguments.model_validate(arguments)
        except ValidationError as error:
            raise ToolFailed(f"invalid arguments for {self.name}: {faults(error)}") from None
        try:
            answer: dict[str, Any] = self._answers.dump_python(self.run(asked), mode="json")
        except SessionopsError as error:
            raise ToolFailed(str(error)) from None
        return answer

    @cached_property
    def _answers(self) -> TypeAdapter[Any]:
        return TypeAdapter(self.answer)


def faults(error: ValidationError) -> str:
    """What is wrong, in one line. What was sent is not quoted: it may hold a token."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    shown = [
        f"{'.'.join(map(str, fault['loc'])) or 'all'}: {fault['msg']}"
        for fault in found[:_SHOWN_FAULTS]
    ]
    more = len(found) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")
