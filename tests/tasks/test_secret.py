"""The key ring: made once, closed to others, never shown."""

import json
import stat
import subprocess

import pytest

from schemas.errors import InvalidInput
from schemas.keyring import load_keys
from schemas.settings import Settings

GIVEN = "a5Jq-0pZ7_Lw3xVn8RkT2yBcMd9Fh4Gs6Ue1"


def secrets_in(bench):
    ring = json.loads(bench.places.keyring.read_text())
    return [key["secret"] for keys in ring["keys"].values() for key in keys]


def test_is_made_once_and_only_fingerprints_are_shown(bench):
    outcome = bench("secret.generate")
    text = bench.places.keyring.read_text()
    assert stat.S_IMODE(bench.places.keyring.stat().st_mode) == 0o600
    shown = f"{outcome} {bench('secret.generate')} {bench('secret.status')}"
    assert not any(secret in shown for secret in secrets_in(bench))
    assert not bench("secret.generate").changed
    assert bench.places.keyring.read_text() == text


def test_both_servers_accept_what_was_made(bench):
    bench("secret.generate")
    for audience in ("session-buddy", "mahavishnu"):
        assert load_keys(bench.settings, audience).current.secret in secrets_in(bench)


def test_its_values_are_masked_from_then_on(bench):
    bench("secret.generate")
    for secret in secrets_in(bench):
        assert secret not in bench.scope.secrets.mask(f"token={secret}")


def test_the_undo_leaves_no_copy_of_a_key(bench, tmp_path):
    outcome = bench("secret.generate")
    secrets = secrets_in(bench)
    bench.undo(outcome)
    assert not bench.places.keyring.exists()
    left = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert not any(secret in text for secret in secrets for text in left)


def test_a_missing_key_is_added_to_a_ring_and_taken_away_by_the_undo(bench):
    bench("secret.generate")
    ring = json.loads(bench.places.keyring.read_text())
    del ring["keys"]["mahavishnu"]
    bench.places.keyring.write_text(json.dumps(ring))
    outcome = bench("secret.generate")
    after = json.loads(bench.places.keyring.read_text())
    assert after["keys"]["session-buddy"] == ring["keys"]["session-buddy"]
    assert after["keys"]["mahavishnu"]
    bench.undo(outcome)
    assert json.loads(bench.places.keyring.read_text()) == ring


def test_check_mode_makes_nothing(bench):
    assert bench.checked("secret.generate").changed
    assert not bench.places.keyring.exists()


def test_a_secret_of_the_environment_is_taken_over(bench, bench_with, tmp_path):
    """A server that is started at boot has another environment than the shell that deployed it."""
    bench("secret.generate")
    given = bench_with(MAHAVISHNU_AUTH_SECRET=GIVEN)
    outcome = given("secret.generate")
    assert GIVEN not in str(outcome)
    at_boot = Settings.load(bench.places, {"HOME": str(tmp_path)})
    in_shell = given.settings
    ring = load_keys(at_boot, "mahavishnu")
    assert ring.current.secret == GIVEN
    assert ring.current.kid == load_keys(in_shell, "mahavishnu").current.kid
    assert len(ring.keys) == 2
    assert not given("secret.generate").changed
    given.undo(outcome)
    assert load_keys(at_boot, "mahavishnu").current.secret != GIVEN


@pytest.mark.parametrize(
    ("secret", "message"),
    [("change-me-in-production", "placeholder"), ("short", "32 (bytes )?or more")],
)
def test_a_weak_secret_is_refused_without_quoting_it(bench_with, secret, message):
    bench = bench_with(SESSION_BUDDY_SECRET=secret)
    for task in ("check.secrets", "secret.generate"):
        with pytest.raises(InvalidInput, match=message) as caught:
            bench(task)
        assert secret not in str(caught.value)
        assert "SESSION_BUDDY_SECRET" in str(caught.value)


def test_a_ring_that_others_may_read_is_told(bench):
    bench("secret.generate")
    assert "closed to others" in bench("check.secrets").message
    bench.places.keyring.chmod(0o644)
    with pytest.raises(InvalidInput, match="chmod 600"):
        bench("check.secrets")


def test_no_ring_yet_is_fine(bench):
    assert "the deploy makes one" in bench("check.secrets").message


@pytest.mark.parametrize("text", ["{", "[]", '{"keys": {"mahavishnu": [{"kid": "a"}]}}'])
def test_what_is_no_ring_is_told_and_left(bench, text):
    bench.places.keyring.parent.mkdir(parents=True)
    bench.places.keyring.write_text(text)
    with pytest.raises(InvalidInput, match="not a key ring"):
        bench("secret.generate")
    assert bench.places.keyring.read_text() == text


class TestPlace:
    @pytest.fixture
    def file(self, tmp_path):
        return tmp_path / "etc" / "pass word"

    def test_a_secret_of_this_machine_gets_into_a_closed_file_once(self, bench, file, monkeypatch):
        monkeypatch.setenv("APP_PASSWORD", GIVEN)
        given = {"dest": str(file), "env": "APP_PASSWORD"}
        checked = bench.checked("secret.place", **given)
        assert (checked.changed, file.exists()) == (True, False)
        outcome = bench("secret.place", **given)
        assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (GIVEN, 0o600)
        assert not bench("secret.place", **given).changed
        assert GIVEN not in f"{checked} {outcome}"
        assert bench.scope.secrets.is_in(GIVEN)
        bench.undo(outcome)
        assert not file.exists()

    def test_a_former_one_comes_back_and_neither_is_shown(self, bench, file):
        bench("secret.place", dest=str(file), value="the-former-one")
        outcome = bench("secret.place", dest=str(file), value=GIVEN)
        assert "the-former-one" not in str(outcome)
        assert GIVEN not in str(outcome)
        bench.undo(outcome)
        assert file.read_text() == "the-former-one"

    def test_a_key_of_the_ring(self, bench, file):
        bench("secret.generate")
        bench("secret.place", dest=str(file), key="mahavishnu", mode="0640")
        assert file.read_text() in secrets_in(bench)
        assert stat.S_IMODE(file.stat().st_mode) == 0o640

    def test_as_a_variable_that_a_shell_reads_back(self, bench, file):
        value = 'it\'s $5 "a" line'
        bench("secret.place", dest=str(file), value=value, variable="APP_PASSWORD")
        script = '. "$1"; printf %s "$APP_PASSWORD"'
        read = subprocess.run(["sh", "-c", script, "sh", file], capture_output=True, check=True)
        assert read.stdout.decode() == value

    @pytest.mark.parametrize(
        ("arguments", "fault"),
        [
            ({}, "no secret to place"),
            ({"value": "a", "env": "B"}, "one source"),
            ({"env": "NOT_SET_ANYWHERE"}, "NOT_SET_ANYWHERE is not set"),
            ({"key": "nobody"}, "no key for nobody"),
            ({"value": "secret-value", "mode": "0644"}, "lets others read"),
            ({"value": "secret-value", "variable": "a b"}, "not the name of a variable"),
        ],
    )
    def test_what_is_refused(self, bench, file, arguments, fault):
        with pytest.raises(InvalidInput, match=fault) as caught:
            bench("secret.place", dest=str(file), **arguments)
        assert "secret-value" not in str(caught.value)
        assert not file.exists()
