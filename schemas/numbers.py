"""Whole numbers as JSON has them: 5 and 5.0 are one, "5" and true are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic_core import core_schema

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler


@dataclass(frozen=True, slots=True)
class Whole:
    """Stands in ``Annotated[int, Whole(low, high)]``.

    Args:
        low: the least.
        high: the most.
    """

    low: int
    high: int

    def __get_pydantic_core_schema__(
        self, _: Any, __: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        exact = core_schema.int_schema(strict=True, ge=self.low, le=self.high)
        with_point = core_schema.chain_schema(
            [core_schema.no_info_plain_validator_function(_without_point), exact]
        )
        # The first that fits is taken, so only numbers with a point take the detour.
        return core_schema.union_schema(
            [exact, with_point],
            mode="left_to_right",
            custom_error_type="whole_number",
            custom_error_message=f"this is a whole number from {self.low} to {self.high}",
        )

    def __get_pydantic_json_schema__(
        self, _: core_schema.CoreSchema, __: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.low, "maximum": self.high}


def _without_point(number: Any) -> Any:
    return int(number) if isinstance(number, float) and number.is_integer() else number
