"""What looks like a secret is masked, what only sounds like one is kept; see redaction.yaml."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

import pytest
import yaml

from tracker.client.redact import (
    FIELD_PATTERN,
    MASK,
    PATTERNS,
    redact,
    redact_data,
    redact_naming,
)
from tracker.client.secret_patterns import TOKENS, UNMISTAKABLE

CASES = yaml.safe_load(Path(__file__).with_name("redaction.yaml").read_text())
SECRET = "hunter2Xyz"
MASKED = [
    pytest.param(name, text, id=f"{name}-{number}")
    for name, pattern in CASES["patterns"].items()
    for number, text in enumerate(pattern.get("secret", ()))
]
FORMS = [
    pytest.param(
        name,
        prefix,
        prefix + "".join(islice(cycle(characters), length)) + "".join(rest),
        "use({!r})",
        id=f"{name}-{number}",
    )
    for name, pattern in CASES["patterns"].items()
    for number, (prefix, characters, length, *rest) in enumerate(pattern.get("tokens", ()))
]
INNOCENT = [
    *(text for pattern in CASES["patterns"].values() for text in pattern.get("innocent", ())),
    *CASES["kept"],
]
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n{}\n-----END RSA PRIVATE KEY-----"


def test_no_pattern_is_without_test_values():
    assert set(CASES["patterns"]) | {FIELD_PATTERN} == set(PATTERNS)
    for name, pattern in CASES["patterns"].items():
        assert pattern.get("secret") or pattern.get("tokens"), name
        # A token's own innocent text is its prefix alone.
        assert name in {**TOKENS, **UNMISTAKABLE} or pattern["innocent"], name


@pytest.mark.parametrize(("name", "text"), MASKED)
def test_the_value_is_masked_and_the_rest_stays(name, text):
    masked = redact(text.replace("SESAME", SECRET))
    assert SECRET not in masked
    before, _, after = text.replace("\nSESAME\n", "SESAME").partition("SESAME")
    assert masked.startswith(
        before.rstrip("'\"").split(" sid=")[0].split("abcdefghij")[0].split("aB3-")[0]
    )
    assert masked.endswith(after)


@pytest.mark.parametrize(("name", "text"), MASKED)
def test_masking_twice_is_masking_once(name, text):
    masked = redact(text.replace("SESAME", SECRET))
    assert redact(masked) == masked
    assert redact_naming(masked) == (masked, set())


@pytest.mark.parametrize(("name", "text"), MASKED)
def test_the_pattern_that_masked_is_named(name, text):
    text = text.replace("SESAME", SECRET)
    assert redact_naming(text) == (redact(text), {name})


@pytest.mark.parametrize(("name", "prefix", "token", "around"), FORMS)
def test_a_token_is_known_by_its_form(name, prefix, token, around):
    masked = around.format(MASK)
    assert redact(around.format(token)) == masked
    assert redact_naming({"text": around.format(token)}) == ({"text": masked}, {name})


@pytest.mark.parametrize(("name", "prefix", "token", "around"), FORMS)
def test_the_beginning_of_a_token_is_none(name, prefix, token, around):
    text = around.format(prefix)
    assert redact(text) == text


def test_a_private_key_is_masked_even_when_its_end_is_missing():
    whole = PEM.format("c2VjcmV0")
    assert "c2VjcmV0" not in redact(whole)
    assert "c2VjcmV0" not in redact(whole.rsplit("\n", 1)[0])
    assert redact(whole).startswith("-----BEGIN RSA PRIVATE KEY-----")


@pytest.mark.parametrize("text", INNOCENT)
def test_what_is_no_secret_is_kept(text):
    assert redact(text) == text


def test_fields_are_masked_by_their_names_at_any_depth():
    data = {
        "db_password": SECRET,
        "steps": [{"Authorization": SECRET}, f"--token {SECRET}"],
        "api_key": "",
        "secret": None,
        "token_count": 3,
        "password": True,
    }
    masked = {
        "db_password": MASK,
        "steps": [{"Authorization": MASK}, f"--token {MASK}"],
        "api_key": "",
        "secret": None,
        "token_count": 3,
        "password": True,
    }
    assert redact_data(data) == masked
    assert redact_naming(data) == (masked, {FIELD_PATTERN, "option"})
    assert redact_naming(masked) == (masked, set())


@pytest.mark.parametrize(
    "text",
    [
        "a." * 50_000,
        "mysql " * 20_000,
        "a_" * 50_000,
        "://" * 30_000,
        "-----BEGIN PRIVATE KEY-----",
        "docker login " * 8_000,
        "config set " + "-a " * 30_000,
        "config set " + "a/" * 50_000,
        "htpasswd -b " * 8_000,
        "1" * 100_000,
        "a" * 100_000,
    ],
)
def test_a_text_made_to_be_slow_is_still_read(text):
    assert redact(text)[:4] == text[:4]
