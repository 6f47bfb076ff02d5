"""What looks like a secret is masked, what only sounds like one is kept; see redaction.yaml."""

from __future__ import annotations

from itertools import cycle, islice
from pathlib import Path

import pytest
import yaml

from tracker.client.redact import MASK, redact, redact_data

CASES = yaml.safe_load(Path(__file__).with_name("redaction.yaml").read_text())
SECRET = "hunter2Xyz"
MASKED = [text for group in CASES["masked"].values() for text in group]
TOKENS = {
    name: prefix + "".join(islice(cycle(characters), length))
    for name, (prefix, characters, length) in CASES["tokens"].items()
}
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJvcHMifQ.c2lnbmF0dXJl"
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n{}\n-----END RSA PRIVATE KEY-----"


@pytest.mark.parametrize("text", MASKED)
def test_the_value_is_masked_and_the_rest_stays(text):
    masked = redact(text.replace("SESAME", SECRET))
    assert SECRET not in masked
    before, _, after = text.partition("SESAME")
    assert masked.startswith(before.rstrip("'\"").split(" sid=")[0])
    assert masked.endswith(after)


@pytest.mark.parametrize("text", MASKED)
def test_masking_twice_is_masking_once(text):
    masked = redact(text.replace("SESAME", SECRET))
    assert redact(masked) == masked


@pytest.mark.parametrize("token", [*TOKENS.values(), JWT], ids=[*TOKENS, "jwt"])
def test_a_token_is_known_by_its_form(token):
    assert redact(f"use({token!r})") == f"use('{MASK}')"


def test_a_private_key_is_masked_even_when_its_end_is_missing():
    whole = PEM.format("c2VjcmV0")
    assert "c2VjcmV0" not in redact(whole)
    assert "c2VjcmV0" not in redact(whole.rsplit("\n", 1)[0])
    assert redact(whole).startswith("-----BEGIN RSA PRIVATE KEY-----")


@pytest.mark.parametrize("text", CASES["kept"])
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
    assert redact_data(data) == {
        "db_password": MASK,
        "steps": [{"Authorization": MASK}, f"--token {MASK}"],
        "api_key": "",
        "secret": None,
        "token_count": 3,
        "password": True,
    }


@pytest.mark.parametrize(
    "text",
    [
        "a." * 50_000,
        "mysql " * 20_000,
        "a_" * 50_000,
        "://" * 30_000,
        "-----BEGIN PRIVATE KEY-----",
    ],
)
def test_a_text_made_to_be_slow_is_still_read(text):
    assert redact(text)[:4] == text[:4]
