"""One value is put into JSON text; every other byte stays."""

import json

import pytest

from orchestrator.tasks.jsontext import put
from schemas.errors import InvalidInput

OURS = {"type": "http", "url": "http://127.0.0.1:8678/mcp"}


def lines(*text):
    return "\n".join(text) + "\n"


CASES = {
    "an empty file": (
        "",
        lines(
            "{",
            '  "mcpServers": {',
            '    "session-buddy": {',
            '      "type": "http",',
            '      "url": "http://127.0.0.1:8678/mcp"',
            "    }",
            "  }",
            "}",
        ),
    ),
    "foreign servers, with numbers and escapes that a parser would rewrite": (
        lines(
            "{",
            '    "x": 1.50e2, "y": "\\u00e9\\/", ',
            '    "mcpServers": {',
            '        "other": {"args": ["a",   "b"]}',
            "    }",
            "}",
        ),
        lines(
            "{",
            '    "x": 1.50e2, "y": "\\u00e9\\/", ',
            '    "mcpServers": {',
            '        "other": {"args": ["a",   "b"]},',
            '        "session-buddy": {',
            '            "type": "http",',
            '            "url": "http://127.0.0.1:8678/mcp"',
            "        }",
            "    }",
            "}",
        ),
    ),
    "the entry of the guide, with its secret": (
        '{"mcpServers": {"session-buddy": {"command": "python"}, "b": {}}, "z": null}',
        (
            '{"mcpServers": {"session-buddy": {\n      "type": "http",\n'
            '      "url": "http://127.0.0.1:8678/mcp"\n    }, "b": {}}, "z": null}'
        ),
    ),
    "tabs": (
        '{\n\t"a": 1\n}\n',
        (
            '{\n\t"a": 1,\n\t"mcpServers": {\n\t\t"session-buddy": {\n\t\t\t"type": "http",\n'
            '\t\t\t"url": "http://127.0.0.1:8678/mcp"\n\t\t}\n\t}\n}\n'
        ),
    ),
    "an empty object on the way": (
        '{"mcpServers": {}}',
        (
            '{"mcpServers": {\n    "session-buddy": {\n      "type": "http",\n'
            '      "url": "http://127.0.0.1:8678/mcp"\n    }\n  }}'
        ),
    ),
}


@pytest.mark.parametrize(("before", "after"), CASES.values(), ids=CASES.keys())
def test_only_our_value_changes(before, after):
    done = put(before, "/mcpServers/session-buddy", OURS)
    assert done == after
    assert json.loads(done)["mcpServers"]["session-buddy"] == OURS
    assert put(done, "/mcpServers/session-buddy", OURS) == done


def test_a_value_that_is_there_in_another_layout_stays():
    text = '{"mcpServers":{"session-buddy":{"url":"http://127.0.0.1:8678/mcp","type":"http"}}}'
    assert put(text, "/mcpServers/session-buddy", OURS) == text


def test_a_key_may_hold_slashes_and_tildes():
    assert json.loads(put("{}", "/a~1b/c~0d", 1)) == {"a/b": {"c~d": 1}}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1,}', "line 1"),
        ('{\n"a" 1}', "line 2"),
        ("[1]", "not a JSON object"),
        ('{"mcpServers": {"a": 1, "a": 2}}', "twice"),
        ('{"mcpServers":\n [1]}', "mcpServers is not an object (line 2)"),
    ],
)
def test_what_is_not_an_object_is_refused(text, message):
    with pytest.raises(InvalidInput, match=message.replace("(", r"\(").replace(")", r"\)")):
        put(text, "/mcpServers/session-buddy", OURS)


def test_the_place_is_a_json_pointer():
    with pytest.raises(InvalidInput, match="JSON Pointer"):
        put("{}", "mcpServers", 1)
