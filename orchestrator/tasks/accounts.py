"""The commands that change users and groups as argument lists, and how an account is told. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_NAME = re.compile(r"[a-z_][a-z0-9_.-]{0,31}\$?")
_FIELDS = 7
_FLAGS = {
    "uid": "--uid",
    "group": "--gid",
    "home": "--home-dir",
    "shell": "--shell",
    "comment": "--comment",
}
_CHANGING = {**_FLAGS, "home": "--home"}
"""usermod has another name for the home."""
KEY_TYPES = ("ssh-", "ecdsa-", "sk-ssh-", "sk-ecdsa-")


@dataclass(frozen=True)
class Account:
    """A user as the host knows it (passwd(5)), with the names of its groups."""

    name: str
    uid: int
    group: str
    comment: str
    home: str
    shell: str
    groups: tuple[str, ...]

    def as_arguments(self) -> dict[str, object]:
        """What ``users.user`` takes to make the same account."""
        return {
            "name": self.name,
            "uid": self.uid,
            "group": self.group,
            "comment": self.comment,
            "home": self.home,
            "shell": self.shell,
            "groups": list(self.groups),
        }


def read_name(name: str) -> str:
    """The name of a user or group.

    Raises:
        InvalidInput: it is not one that useradd takes.
    """
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} is not the name of a user or group",
            hint="small letters, digits, - and _, at most 32, with a letter first",
        )
    return name


def account_in(passwd: str, primary: str, groups: str) -> Account | None:
    """The account in what ``getent passwd``, ``id -gn`` and ``id -Gn`` print; None without one."""
    fields = passwd.strip().split(":")
    if len(fields) != _FIELDS:
        return None
    name, _, uid, _, comment, home, shell = fields
    group = primary.strip()
    others = tuple(sorted(set(groups.split()) - {group}))
    return Account(name, int(uid), group, comment, home, shell, others)


def add_user_argv(
    name: str,
    values: Mapping[str, object],
    groups: Sequence[str] = (),
    *,
    system: bool = False,
    make_home: bool = True,
) -> list[str]:
    """Make a user.

    Args:
        name: its name.
        values: of ``uid group home shell comment``, those that are wanted.
        groups: further groups.
        system: with a number from the range of system users.
        make_home: also make its home folder.
    """
    argv = ["useradd", "--create-home" if make_home else "--no-create-home"]
    argv += ["--system"] * system
    argv += _flags(values, _FLAGS)
    argv += ["--groups", ",".join(groups)] if groups else []
    return [*argv, "--", read_name(name)]


def change_user_argv(name: str, values: Mapping[str, object]) -> list[str]:
    """Change a user's fields."""
    return ["usermod", *_flags(values, _CHANGING), "--", read_name(name)]


def _flags(values: Mapping[str, object], flags: Mapping[str, str]) -> list[str]:
    argv = []
    for key, flag in flags.items():
        value = values.get(key)
        if value is None:
            continue
        if ":" in str(value) or "\n" in str(value):
            raise InvalidInput(f"{key} {value!r} has a colon or a line end in it")
        argv += [flag, str(value)]
    return argv


def membership_argv(name: str, group: str, *, member: bool) -> list[str]:
    """Put a user into a group or take it out."""
    return ["gpasswd", "--add" if member else "--delete", read_name(name), read_name(group)]


def remove_user_argv(name: str, *, with_home: bool) -> list[str]:
    """Remove a user."""
    return ["userdel", *(["--remove"] if with_home else []), "--", read_name(name)]


def group_argv(name: str, gid: int | None, *, exists: bool, system: bool = False) -> list[str]:
    """Make a group, or give it another number."""
    number = [] if gid is None else ["--gid", str(gid)]
    kind = ["--system"] if system and not exists else []
    return ["groupmod" if exists else "groupadd", *number, *kind, "--", read_name(name)]


def differing(wanted: Mapping[str, object], account: Account) -> dict[str, object]:
    """The fields of an account that are not as wanted."""
    return {
        key: value
        for key, value in wanted.items()
        if value is not None and str(value) != str(getattr(account, key))
    }


def key_of(line: str) -> tuple[str, str] | None:
    """Type and key of a line of authorized_keys (sshd(8)), options and comment left aside."""
    words = line.split()
    for at, word in enumerate(words[:-1]):
        if word.startswith(KEY_TYPES) and words[at + 1].startswith("AAAA"):
            return word, words[at + 1]
    return None


def with_key(text: str, line: str) -> str:
    """The text of authorized_keys with this line in it, in place of one with the same key."""
    lines, key = text.splitlines(), key_of(line)
    same = [at for at, one in enumerate(lines) if key_of(one) == key]
    if not same:
        start = text if not text or text.endswith("\n") else f"{text}\n"
        return f"{start}{line}\n"
    if lines[same[0]] == line:
        return text
    lines[same[0]] = line
    return "".join(f"{one}\n" for one in lines)


def without_key(text: str, line: str) -> str:
    """The text of authorized_keys without this key."""
    key = key_of(line)
    return "".join(one for one in text.splitlines(keepends=True) if key_of(one) != key)
