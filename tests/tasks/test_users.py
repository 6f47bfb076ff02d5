"""Users, groups and keys for real, on throw-away accounts of this machine."""

import dataclasses
import os
import pwd
import secrets
import stat
import subprocess
from pathlib import Path

import pytest

from orchestrator.tasks.scope import attach
from schemas.errors import InvalidInput, NotFound, StepFailed

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0 someone@somewhere"
pytestmark = [
    pytest.mark.needs("useradd"),
    pytest.mark.skipif(os.geteuid() != 0, reason="making users needs root"),
]


def account(name):
    try:
        return pwd.getpwnam(name)
    except KeyError:
        return None


@pytest.fixture
def name():
    """The name of a user and group that are gone afterwards."""
    name = f"so-{secrets.token_hex(4)}"
    yield name
    for argv in (["userdel", "--remove", name], ["groupdel", name]):
        subprocess.run(argv, capture_output=True, check=False)


class TestUser:
    def test_is_made_once_and_its_undo_removes_it(self, bench, name):
        assert bench.checked("users.user", name=name).diff == f"+ user {name}\n"
        assert account(name) is None
        given = {"shell": "/bin/sh", "groups": ["adm"]}
        outcome = bench("users.user", name=name, **given)
        made = account(name)
        assert (made.pw_shell, Path(made.pw_dir).is_dir()) == ("/bin/sh", True)
        assert not bench("users.user", name=name, **given).changed
        bench.undo(outcome)
        assert account(name) is None
        assert not Path(made.pw_dir).exists()

    def test_a_home_that_was_there_survives_the_undo(self, bench, name, tmp_path):
        (tmp_path / "data").write_text("mine")
        bench.undo(bench("users.user", name=name, home=str(tmp_path)))
        assert account(name) is None
        assert (tmp_path / "data").read_text() == "mine"

    def test_is_changed_only_where_it_differs_and_changed_back(self, bench, name):
        bench("users.user", name=name, comment="One", groups=["adm"])
        given = {"comment": "Two", "groups": ["tty"], "without_groups": ["adm"]}
        outcome = bench("users.user", name=name, **given)
        assert outcome.diff == "  comment: One -> Two\n+ in group tty\n- in group adm\n"
        assert not bench("users.user", name=name, **given).changed
        bench.undo(outcome)
        assert not bench(
            "users.user", name=name, comment="One", groups=["adm"], without_groups=["tty"]
        ).changed

    def test_a_removed_one_comes_back_with_number_and_groups(self, bench, name):
        bench("users.user", name=name, groups=["adm"])
        before = account(name)
        outcome = bench("users.user", name=name, state="absent")
        assert account(name) is None
        assert Path(before.pw_dir).is_dir()
        bench.undo(outcome)
        assert account(name) == before
        assert not bench("users.user", name=name, groups=["adm"]).changed

    def test_a_number_is_one(self, bench, name):
        with pytest.raises(InvalidInput, match="not the number"):
            bench("users.user", name=name, uid="1e3")

    def test_a_user_who_is_not_root_is_told(self, bench, name):
        host = dataclasses.replace(bench.scope.host, is_root=False, user="ops")
        attach(bench.context, dataclasses.replace(bench.scope, host=host))
        with pytest.raises(StepFailed, match="making users needs root"):
            bench("users.user", name=name)


class TestGroup:
    def test_is_made_once_renumbered_and_removed(self, bench, name):
        outcome = bench("users.group", name=name)
        number = outcome.outputs["gid"]
        # From a command line a number is a text.
        assert not bench("users.group", name=name, gid=str(number)).changed
        other = bench("users.group", name=name, gid=number + 1000)
        assert other.outputs["gid"] == number + 1000
        bench.undo(other)
        assert not bench("users.group", name=name, gid=number).changed
        bench.undo(outcome)
        assert not bench("users.group", name=name, state="absent").changed

    def test_a_removed_one_comes_back_with_its_members(self, bench, name):
        group = f"{name}-g"
        bench("users.group", name=group)
        bench("users.user", name=name, groups=[group])
        outcome = bench("users.group", name=group, state="absent")
        bench.undo(outcome)
        assert not bench("users.user", name=name, groups=[group]).changed
        bench("users.group", name=group, state="absent")


class TestAuthorizedKey:
    def test_is_added_once_as_the_user_and_taken_away_by_the_undo(self, bench, name):
        bench("users.user", name=name)
        folder = Path(account(name).pw_dir) / ".ssh"
        assert f"+{KEY}" in bench.checked("users.authorized_key", user=name, key=KEY).diff
        assert not folder.exists()
        outcome = bench("users.authorized_key", user=name, key=KEY)
        file = folder / "authorized_keys"
        assert file.read_text() == f"{KEY}\n"
        found = file.stat()
        assert (found.st_uid, stat.S_IMODE(found.st_mode)) == (account(name).pw_uid, 0o600)
        assert not bench("users.authorized_key", user=name, key=KEY).changed
        bench.undo(outcome)
        assert not folder.exists()

    def test_other_options_for_the_same_key_are_undone_to_the_former_ones(self, bench, name):
        bench("users.user", name=name)
        file = Path(account(name).pw_dir) / ".ssh" / "authorized_keys"
        bench("users.authorized_key", user=name, key=f"no-pty {KEY}")
        outcome = bench("users.authorized_key", user=name, key=KEY)
        bench.undo(outcome)
        assert file.read_text() == f"no-pty {KEY}\n"

    def test_a_link_in_the_home_leads_nowhere_that_the_user_may_not_write(
        self, bench, name, tmp_path
    ):
        bench("users.user", name=name)
        (Path(account(name).pw_dir) / ".ssh").symlink_to(tmp_path)
        tmp_path.chmod(0o755)
        with pytest.raises(StepFailed):
            bench("users.authorized_key", user=name, key=KEY)
        assert not (tmp_path / "authorized_keys").exists()

    def test_a_private_key_is_refused_and_not_quoted(self, bench):
        key = "-----BEGIN OPENSSH PRIVATE KEY-----\nssh-rsa AAAAsecret\n"
        with pytest.raises(InvalidInput) as caught:
            bench("users.authorized_key", user="root", key=key)
        assert "secret" not in str(caught.value)

    def test_a_user_who_is_not_there(self, bench):
        with pytest.raises(NotFound, match="no user so-nobody-here"):
            bench("users.authorized_key", user="so-nobody-here", key=KEY)
        told = bench.checked("users.authorized_key", user="so-nobody-here", key=KEY)
        assert told.changed
