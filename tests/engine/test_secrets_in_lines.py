"""A line of sh is visible to every user of a host; no secret gets into one."""

from __future__ import annotations

import pytest

from schemas.errors import InvalidInput

PARAMS = "params: {word: {secret: true, default: very-secret-word}}\n"


def test_a_secret_parameter_in_a_line_is_refused_where_it_stands(ops):
    text = PARAMS + 'steps:\n  - {id: a, run: "echo {{ params.word }}", undo: {none: nothing}}\n'
    with pytest.raises(InvalidInput, match=r"trial\.yaml:6: a secret stands in this line") as error:
        ops.plan(text)
    assert 'env: {NAME: "{{ params.x }}"}' in error.value.hint


def test_a_secret_value_is_refused_whatever_way_it_came(ops):
    text = (
        PARAMS + 'steps:\n  - {id: a, run: "echo {{ params | tojson }}", undo: {none: nothing}}\n'
    )
    with pytest.raises(InvalidInput, match="a secret stands in this line"):
        ops.plan(text)


def test_a_secret_that_only_the_run_knows_is_refused_then(ops):
    text = PARAMS + (
        'steps:\n  - {id: a, run: "printf %s $W", env: {W: "{{ params.word }}"},'
        " undo: {none: nothing}}"
        '\n  - {id: b, run: "touch {work}/{{ steps.a.outputs.stdout }}"}\n'
    )
    result = ops.run(text)
    assert result.record.failed_step == "b"
    assert "a secret stands in this line" in str(result.record.error)
    assert ops.left() == set()
