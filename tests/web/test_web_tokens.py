"""Who is let in: a token can be wrong in many ways, and each of them is a 401."""

from __future__ import annotations

import base64
import json
import secrets
import stat
import time

import jwt
import pytest

from schemas.errors import InvalidInput, NotAuthorised
from schemas.keyring import check_secret, new_keyring
from schemas.settings import Settings
from tracker.web.auth import (
    Forbidden,
    Guard,
    Key,
    KeyRing,
    fingerprint,
    generate_keyring,
    load_keys,
    mint,
    verify,
)

SECRET = secrets.token_urlsafe(48)
OTHER = secrets.token_urlsafe(48)
KEYS = KeyRing("session-buddy", "HS256", (Key("now", SECRET),))


def claims(**changes):
    now = int(time.time())
    good = {
        "iss": "sessionops",
        "aud": "session-buddy",
        "sub": "ops",
        "iat": now,
        "exp": now + 60,
        "jti": "1",
        "scope": "read",
    }
    return {key: value for key, value in {**good, **changes}.items() if value is not None}


def signed(payload, secret=SECRET, algorithm="HS256", kid="now"):
    headers = {"kid": kid} if kid else {}
    return jwt.encode(payload, secret, algorithm=algorithm, headers=headers)


def unsigned(**header):
    parts = [{"alg": "none", "typ": "JWT", "kid": "now", **header}, claims()]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*encoded, b""]).decode()


def deep_header():
    return base64.urlsafe_b64encode(b"[" * 2500).decode() + "." + "e30" + "." + "AA"


BAD = {
    "nothing at all": "",
    "no token": "invalid",
    "truncated": signed(claims())[:-5],
    "signature cut off": signed(claims()).rsplit(".", 1)[0] + ".",
    "alg none": unsigned(),
    "alg None with capitals": unsigned(alg="NoNe"),
    "another algorithm with the right key": signed(claims(), algorithm="HS512"),
    "another key": signed(claims(), secret=OTHER),
    "a key that is not known": signed(claims(), kid="never"),
    "no key named": signed(claims(), kid=None),
    "expired": signed(claims(exp=int(time.time()) - 60)),
    "not yet valid": signed(claims(nbf=int(time.time()) + 60)),
    "issued in the future": signed(claims(iat=int(time.time()) + 60)),
    "another audience": signed(claims(aud="mahavishnu")),
    "a list of audiences": signed(claims(aud=["session-buddy", "mahavishnu"])),
    "another issuer": signed(claims(iss="somebody")),
    "an empty subject": signed(claims(sub="")),
    "a scope that is no text": signed(claims(scope=["read"])),
    "huge": signed(claims(padding="x" * 10_000)),
    "a header nested too deep": deep_header(),
    **{f"no {name}": signed(claims(**{name: None})) for name in claims() if name != "scope"},
}


@pytest.mark.parametrize("token", BAD.values(), ids=BAD.keys())
def test_a_bad_token_is_refused_and_not_quoted(token):
    with pytest.raises(NotAuthorised) as caught:
        verify(KEYS, "session-buddy", token)
    assert len(token) < 8 or token not in str(caught.value)
    assert caught.value.exit_code == 4


def test_what_is_minted_without_a_library_is_a_token_to_the_library():
    for algorithm in ("HS256", "HS384", "HS512"):
        keys = KeyRing("session-buddy", algorithm, (Key("now", SECRET),))
        found = verify(keys, "session-buddy", mint(keys, "session-buddy", "ops", ["read"], 5))
        assert (found.subject, found.scopes) == ("ops", {"read"})


def test_a_token_of_the_previous_key_is_still_believed_after_a_rotation():
    old = mint(KEYS, "session-buddy", "ops", ["read"], 5)
    rotated = KeyRing(
        "session-buddy", "HS256", (Key("next", OTHER), Key("now", SECRET, status="previous"))
    )
    assert verify(rotated, "session-buddy", old).subject == "ops"
    new = mint(rotated, "session-buddy", "ops", ["read"], 5)
    assert jwt.get_unverified_header(new)["kid"] == "next"
    with pytest.raises(NotAuthorised):
        verify(KEYS, "session-buddy", new)


def test_an_unknown_scope_is_neither_minted_nor_believed():
    with pytest.raises(InvalidInput, match="root"):
        mint(KEYS, "session-buddy", "ops", ["root"], 5)
    assert verify(KEYS, "session-buddy", signed(claims(scope="root read"))).scopes == {"read"}


def test_the_guard_forgets_a_token_that_it_has_seen_when_it_expires():
    guard = Guard(KEYS, "session-buddy")
    header = "Bearer " + signed(claims(exp=int(time.time()) - 4))  # inside the leeway of 5 seconds
    assert guard.check(header, "read").subject == "ops"
    with pytest.raises(NotAuthorised, match="expired"):
        keep_asking(guard, header)


def keep_asking(guard, header):
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        guard.check(header, "read")
        time.sleep(0.02)


def test_the_guard_tells_a_missing_scope_from_a_bad_token():
    guard = Guard(KEYS, "session-buddy")
    with pytest.raises(Forbidden):
        guard.check("Bearer " + signed(claims()), "admin")
    with pytest.raises(NotAuthorised) as caught:
        guard.check("Basic b3BzOm9wcw==", "read")
    assert not isinstance(caught.value, Forbidden)


@pytest.mark.parametrize(
    ("secret", "reason"),
    [
        ("change-me-in-production", "placeholder"),
        ("your-secret", "placeholder"),
        ("your-secret-here-and-make-it-32-long", "placeholder"),
        ("<your-32-char-secret>", "placeholder"),
        ("<some-other-secret-of-32-characters>", "placeholder"),
        ("x7Kq-short", "10 bytes"),
        ("a" * 40, "repeats"),
        ("abcdefgh12" * 4, "repeats"),
    ],
)
def test_a_secret_that_protects_nothing_is_refused_and_not_quoted(secret, reason):
    with pytest.raises(InvalidInput, match=reason) as caught:
        check_secret(secret, "HS256", "here")
    assert secret not in str(caught.value)
    assert "invoke secret.generate" in caught.value.hint


def test_the_guides_own_way_to_make_a_secret_is_good_enough():
    check_secret(secrets.token_urlsafe(32), "HS256", "here")


def settings_of(root, **environ):
    return Settings.load(environ={"HOME": str(root), "MAHAVISHNU_HOME": str(root / "m"), **environ})


def test_a_key_ring_is_made_once_whole_and_private(tmp_path):
    settings = settings_of(tmp_path)
    path = settings.places.keyring
    assert generate_keyring(path)
    first = path.read_bytes()
    assert not generate_keyring(path)
    assert path.read_bytes() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    ours, theirs = (load_keys(settings, name).current for name in ("session-buddy", "mahavishnu"))
    assert ours.secret != theirs.secret


def test_a_key_ring_that_others_may_read_is_refused(tmp_path):
    settings = settings_of(tmp_path)
    generate_keyring(settings.places.keyring)
    settings.places.keyring.chmod(0o640)
    with pytest.raises(InvalidInput, match="others may read") as caught:
        load_keys(settings, "mahavishnu")
    assert caught.value.hint.startswith("chmod 600")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": {"session-buddy": [{}]}}', "\x00"])
def test_a_key_ring_that_is_none_is_refused(tmp_path, content):
    settings = settings_of(tmp_path)
    settings.places.etc.mkdir(parents=True)
    settings.places.keyring.write_text(content)
    settings.places.keyring.chmod(0o600)
    with pytest.raises(InvalidInput, match="key ring"):
        load_keys(settings, "session-buddy")


def test_a_secret_from_the_environment_comes_before_the_key_ring(tmp_path):
    secret = secrets.token_urlsafe(32)
    settings = settings_of(tmp_path, SESSION_BUDDY_SECRET=secret)
    keys = load_keys(settings, "session-buddy")
    assert (keys.current.kid, keys.current.secret) == ("env", secret)


def test_no_representation_of_a_key_shows_its_secret():
    assert SECRET not in repr(KEYS)
    assert SECRET not in str(KEYS.current)
    assert fingerprint(SECRET) not in SECRET
    assert len(fingerprint(SECRET)) == 12


def test_two_key_rings_have_nothing_in_common():
    from datetime import UTC, datetime

    now = datetime.now(UTC)
    first, second = new_keyring(now)["keys"], new_keyring(now)["keys"]
    keys = [ring[name][0] for ring in (first, second) for name in ring]
    assert len({key["secret"] for key in keys}) == len({key["kid"] for key in keys}) == 4
