"""The emitters' own form of events is that of ``schemas.session``, and never more lenient."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from msgspec import MsgspecError

from schemas.emitted import EmittedBatch, read_batch
from schemas.session import EventBatch

START = {
    "event_id": "e-1",
    "session_id": "s-1",
    "event_type": "session_start",
    "timestamp": "2026-11-23T09:00:00+00:00",
    "session": {"component": "mahavishnu"},
}
COMMAND = {**START, "event_type": "command", "session": None, "data": {"text": "ps()"}}


def fields(schema, definitions):
    """What a JSON Schema demands, in one shape whoever wrote it."""
    if "$ref" in schema:
        return fields(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        parts = [fields(part, definitions) for part in schema["anyOf"]]
        kinds = [part for part in parts if part != {"type": "null"}]
        return {**kinds[0], "nullable": len(parts) > len(kinds)}
    told = {
        key: schema[key]
        for key in ("enum", "minimum", "maximum", "minLength", "maxLength", "format")
        if key in schema
    }
    if "enum" not in schema:
        told["type"] = schema["type"]
    if "pattern" in schema:
        told["pattern"] = re.sub(r"(\\Z|\$)\Z", "", schema["pattern"])
    if schema.get("type") == "array":
        told["items"] = fields(schema["items"], definitions)
    if schema.get("properties"):
        told["additional"] = schema.get("additionalProperties", True)
        told["required"] = sorted(schema.get("required", []))
        told["properties"] = {
            name: fields(part, definitions) for name, part in schema["properties"].items()
        }
    for bound in ("minimum", "maximum"):
        if bound in told:
            told[bound] = float(told[bound])
    if "enum" in told:
        told["enum"] = sorted(told["enum"])
    return told


def test_both_forms_have_the_same_fields_with_the_same_bounds():
    contract = EventBatch.model_json_schema()
    (emitted,), definitions = msgspec.json.schema_components([EmittedBatch])
    theirs = fields(emitted, definitions)
    assert theirs["properties"]["events"]["items"]["properties"]["session"]["properties"]
    assert theirs == fields(contract, contract["$defs"])


def variations():
    """Events that are wrong, odd or at the edge, one way at a time."""
    for name, values in {
        "event_id": ["", "x" * 64, "x" * 65, "a\n", "a b", "ä", "a\u0000", 7, None],
        "session_id": ["", "x" * 65, "a\n", 7],
        "event_type": ["session_end", "gap", "Command", "", None, 1],
        "timestamp": [
            *("2026-11-23T09:00:00Z", "2026-11-23t09:00:00z", "2026-11-23 09:00:00+01:00"),
            *("2026-11-23T09:00:00", "2026-11-23", "2026-11-23T09:00Z", "2026-02-30T00:00:00Z"),
            *("2026-11-23T09:00:00.123456Z", "2026-11-23T09:00:60Z", "2026-11-23T24:00:00Z"),
            *("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "2026-11-23T09:00:00+24:00"),
            *(1767225600, "1767225600", "", None),
        ],
        "sequence": [0, 2**53, 2**53 + 1, -1, 1.0, 1.5, "1", True, None],
        "duration_seconds": [0, 0.5, 1e10, 1.1e10, -0.1, "1", True, None],
        "exit_code": [-(2**31), 2**31 - 1, 2**31, 1.0, "0", False, None],
        "data": [{}, {"a": {"b": [1, None, "ö"]}}, {"n": 10**30}, [], "text", None, 1],
        "session": [
            *({}, [], "x", {"component": "a b"}, {"component": "x" * 101}, {"component": "a\n"}),
            *({"component": "a", "pid": pid} for pid in (0, 1, 4194304, 4194305, "1", None)),
            *({"component": "a", "user": user} for user in ("", "x" * 500, "x" * 501, None, 1)),
            *({"component": "a", "git_dirty": dirty} for dirty in (True, False, None, 0, "yes")),
            *({"component": "a", "author_kind": kind} for kind in ("agent", "robot", None)),
            *({"component": "a", "run_id": run} for run in ("r-1", "", "r\n", None)),
            *({"component": "a", "session_type": kind} for kind in ("", "x" * 100, "x" * 101)),
            *({"component": "a", "metadata": data} for data in ({"a": [1]}, [], None)),
            {"component": "a", "unknown": 1},
        ],
        "unknown": [1, None],
    }.items():
        for base in (START, COMMAND):
            for value in values:
                yield {**base, name: value}
    for base in (START, COMMAND):
        for name in base:
            yield {key: value for key, value in base.items() if key != name}


@pytest.mark.parametrize("event", list(variations()), ids=lambda event: json.dumps(event)[:200])
def test_what_the_faster_reader_takes_the_contract_takes_with_the_same_values(event):
    body = json.dumps({"events": [event]}).encode()
    try:
        (emitted,) = read_batch(body).events
    except MsgspecError:
        return  # the contract judges; see tracker.batches
    (event,) = EventBatch.model_validate_json(body).events
    told = msgspec.to_builtins(emitted, builtin_types=[type(emitted.timestamp)])
    if event.session is not None:
        assert msgspec.structs.asdict(emitted.session) == event.session.model_dump()
    del told["session"]
    assert told == event.model_dump(exclude={"session"})


@pytest.mark.parametrize(
    "data",
    [
        *(b'{"a":NaN}', b'{"a":Infinity}', b'{"a":1e999}', b'{"a":01}', b'{"a":"\\ud800"}'),
        *(b'{"a":"\xff"}', b'{"a":"\x01"}', b'{"a":"\\x"}', b'{"a":1,}', b'{"a":' + b"[" * 9999),
    ],
)
def test_what_is_no_json_is_taken_by_neither(data):
    event = json.dumps({**COMMAND, "data": {}}).encode()
    with pytest.raises((MsgspecError, UnicodeDecodeError, RecursionError)):
        read_batch(b'{"events":[' + event.replace(b'"data": {}', b'"data": ' + data) + b"]}")
