"""`mahavishnu shell` on a terminal leaves no secret in its history."""

from __future__ import annotations

import pexpect


def test_a_secret_that_was_typed_is_not_in_the_history(site):
    with site.prompt() as shell:
        shell.sendline('password = "hunter2secret"')
        shell.expect(r"In \[2\]:")
        shell.sendline("%history")
        shell.expect("hunter2secret")
        shell.sendline("exit")
        shell.expect(pexpect.EOF)
    path = site.places.state / "shell" / "history.sqlite"
    content = path.read_bytes()
    assert b"password" in content
    assert b"hunter2secret" not in content
    assert path.stat().st_mode & 0o777 == 0o600
