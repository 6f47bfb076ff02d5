"""Template files and expressions: values in, text or a message with the line out."""

from __future__ import annotations

import pytest

from orchestrator.render import evaluate, evaluate_expression, render_file
from schemas.errors import InvalidInput, NotFound

VARIABLES = {"params": {"keep": 5, "names": ["a", "b"], "quoted": "it's"}, "on": True}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("plain", "plain"),
        ("{{ params.keep }}", 5),
        ("{{- params.names -}}", ["a", "b"]),
        ("{{ on }}", True),
        ("{{ params.keep }}{{ params.keep }}", "55"),
        ("keep {{ params.keep }}", "keep 5"),
        ("{% if on %}yes{% endif %}", "yes"),
        ("{{ params.missing | default('none') }}", "none"),
        ("{{ params.quoted | quote }}", "'it'\"'\"'s'"),
        ("{{ params | json }}", '{"keep": 5, "names": ["a", "b"], "quoted": "it\'s"}'),
        ("{{ params.names | yaml }}", "[a, b]"),
        ("{{ '{{ not rendered twice }}' }}", "{{ not rendered twice }}"),
    ],
)
def test_values(text, value):
    assert evaluate(text, VARIABLES, "x.yaml:1") == value


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("parms.keep", "'parms' is not defined\n  did you mean params?"),
        ("params.kep", "there is no 'kep'; did you mean 'keep'?"),
        ("params.keep + 'x'", "this expression cannot be computed"),
        ("1 / 0", "division by zero"),
        ("params.keep |", "this is not a valid template"),
        ("params.names.append('c')", "this is not allowed in a template"),
        ("''.__class__", "this is not allowed in a template"),
        ("range(10**9)", "this expression cannot be computed"),
    ],
)
def test_faults_say_where_and_what(expression, message):
    with pytest.raises(InvalidInput) as refused:
        evaluate_expression(expression, VARIABLES, "x.yaml:7")
    assert str(refused.value).startswith("x.yaml:7: ")
    assert message in str(refused.value)


def test_a_template_file_may_include_its_neighbours(tmp_path):
    (tmp_path / "main.j2").write_text(
        "{% for name in params.names %}\n{% include 'line.j2' %}\n{% endfor %}\n"
    )
    (tmp_path / "line.j2").write_text("name={{ name }}\n")
    assert render_file(tmp_path / "main.j2", VARIABLES) == "name=a\nname=b\n"


def test_a_fault_in_a_template_file_has_its_line(tmp_path):
    (tmp_path / "main.j2").write_text("one\n{% include 'line.j2' %}\n")
    (tmp_path / "line.j2").write_text("\n\n{{ params.kep }}\n")
    with pytest.raises(InvalidInput) as refused:
        render_file(tmp_path / "main.j2", VARIABLES)
    assert str(refused.value).startswith(f"{tmp_path}/line.j2:3: there is no 'kep'")


def test_a_template_that_is_not_there_is_answered_with_the_nearest(tmp_path):
    (tmp_path / "mahavishnu.yaml.j2").write_text("x")
    with pytest.raises(NotFound) as missing:
        render_file(tmp_path / "mahavishnu.j2", VARIABLES)
    assert missing.value.hint == "did you mean mahavishnu.yaml.j2?"
