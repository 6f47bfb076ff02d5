"""Whole numbers as JSON has them."""

from typing import Annotated

import pytest
from pydantic import TypeAdapter, ValidationError

from schemas.numbers import Whole

NUMBER = TypeAdapter(Annotated[int, Whole(0, 2**53)])


@pytest.mark.parametrize(
    ("sent", "number"), [("0", 0), ("5", 5), ("5.0", 5), ("-0.0", 0), (str(2**53), 2**53)]
)
def test_with_a_point_or_without_it_is_the_same(sent, number):
    found = NUMBER.validate_json(sent)
    assert (found, type(found)) == (number, int)


@pytest.mark.parametrize(
    "sent",
    ['"5"', "true", "null", "[5]", "5.5", "-1", str(2**53 + 1), "1e300", "1e999", "NaN", "9" * 100],
)
def test_anything_else_is_refused(sent):
    with pytest.raises(ValidationError, match="a whole number from 0 to 9007199254740992"):
        NUMBER.validate_json(sent)


def test_the_schema_says_so():
    assert NUMBER.json_schema() == {"type": "integer", "minimum": 0, "maximum": 2**53}
