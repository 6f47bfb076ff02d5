"""A secret parameter is found nowhere in what a run leaves behind or says, in no encoding."""

from __future__ import annotations

import base64
import json
from urllib.parse import quote

import pytest

from orchestrator.redact import MASK, SecretRegistry

PLAIN = "p@ss/w0rd+& 'quoted' \"x\" ü"
KEY = (
    "-----BEGIN KEY-----\n" + "\n".join(f"{'MIIabc'[n:] + str(n) * 60}" for n in range(4)) + "\nend"
)

RUN = """
params:
  plain: {type: string, secret: true, required: true}
  key: {type: string, secret: true, env: TRIAL_KEY}
steps:
  - {id: file, task: trial.put, with: {path: "{work}/file", text: "{{ params.plain }}"}}
  - id: shell
    env: {PLAIN: "{{ params.plain }}", KEY: "{{ params.key }}"}
    undo: {none: it only prints}
    run: |
      echo "$PLAIN"; echo "$KEY" >&2; printf %s "$PLAIN" | base64; printf %s "$KEY" | base64
      printf 'user:%s' "$PLAIN" | base64; printf 'ab%s.' "$PLAIN" | base64 -w0
      echo "$KEY" | sed 's/^/    /'
  - id: spoken
    task: trial.counted
    with: {number: 1, names: ["{{ params.plain }}", "{{ params.key }}"]}
  - {id: error, task: trial.fail, with: {message: "cannot log in with {{ params.plain }}"}}
on_failure: {steps: [{run: "echo {{ run.error | quote }}"}]}
"""


def forms(secret):
    """Each way in which the value could have been written."""
    raw = secret.encode()
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(json.dumps(secret)[1:-1])[1:-1]
    yield quote(secret, safe="")
    yield quote(secret)
    yield base64.b64encode(raw).decode()
    yield base64.urlsafe_b64encode(raw).decode()
    yield from (line.strip() for line in secret.splitlines() if len(line.strip()) > 8)


def test_no_file_of_a_run_and_nothing_told_holds_a_secret(ops, monkeypatch):
    monkeypatch.setenv("TRIAL_KEY", KEY)
    told = []
    result = ops.run(RUN, params={"plain": PLAIN}, listen=lambda event: told.append(repr(event)))
    assert result.state == "rolled_back"
    written = {
        str(path): path.read_text()
        for folder in (ops.home, ops.folder.parent / "session-buddy")
        for path in folder.rglob("*")
        if path.is_file()
    }
    assert len(written) == 6, "record, plan, journal, spool, and two files checked and remembered"
    written |= {"told": "\n".join(told), "result": repr(result), "error": str(result.record.error)}
    for name, text in written.items():
        for secret in (PLAIN, KEY):
            for form in forms(secret):
                assert form not in text, f"{name} holds {form!r}"
    assert MASK in written["error"]


def test_run_folders_are_for_their_owner_only(ops):
    result = ops.run("steps: [{id: faulty, task: trial.faulty}]")
    folder = ops.runs / result.record.run_id
    assert oct(folder.stat().st_mode)[-3:] == "700"
    names = {"run.json", "plan.json", "journal.jsonl", "trace.log"}
    assert {path.name for path in folder.iterdir()} == names
    assert {oct(path.stat().st_mode)[-3:] for path in folder.iterdir()} == {"600"}


@pytest.mark.parametrize("secret", [PLAIN, KEY])
def test_every_form_is_masked_inside_other_text(secret):
    registry = SecretRegistry([secret])
    for form in forms(secret):
        assert form not in registry.mask(f"before {form} after")


@pytest.mark.parametrize("before", ["", "a", "ab", "user:"])
@pytest.mark.parametrize("after", ["", ".", ".."])
def test_base64_is_masked_at_every_offset(before, after):
    encoded = base64.b64encode(f"{before}{PLAIN}{after}".encode()).decode()
    shown = SecretRegistry([PLAIN]).mask(encoded)
    middle = encoded[8:-4]
    assert middle not in shown
    assert len(shown) < len(MASK) + len(encoded) - len(middle)


def test_the_rest_of_the_text_stays():
    registry = SecretRegistry(["hunter22", ""])
    assert registry.mask("the password hunter22 is wrong") == f"the password {MASK} is wrong"
    assert registry.mask_data({"a": ["hunter22", 1, None], "hunter22": True}) == {
        "a": [MASK, 1, None],
        MASK: True,
    }


def test_a_short_secret_is_masked_where_it_stands_alone():
    registry = SecretRegistry(["abc", 1234])
    assert registry.mask("abc") == MASK
    assert registry.mask("the abc of it") == "the abc of it"
    assert registry.mask_data([1234, "pin 1234"]) == [MASK, f"pin {MASK}"]
