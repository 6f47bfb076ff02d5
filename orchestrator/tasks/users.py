"""Users, groups, and the keys that may log in as a user."""

from __future__ import annotations

from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import accounts, command
from orchestrator.tasks.outcome import Inverse, Outcome
from orchestrator.tasks.placing import difference
from orchestrator.tasks.rights import acts_as_root, need_root
from orchestrator.tasks.scope import scope
from schemas.errors import InvalidInput, NotFound, StepFailed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from invoke.context import Context

_LOOK = 'getent passwd "$1" && id -gn -- "$1" && id -Gn -- "$1"'
_READ_KEYS = "cd || exit; cat .ssh/authorized_keys 2>/dev/null || test ! -e .ssh/authorized_keys"
_WRITE_KEYS = (
    "set -e; cd; umask 077; mkdir -p .ssh; t=.ssh/authorized_keys.$$.tmp; "
    'trap \'rm -f "$t"\' EXIT; cat > "$t"; '
    'if test -s "$t"; then mv -f "$t" .ssh/authorized_keys; '
    'else rm -f "$t" .ssh/authorized_keys; rmdir .ssh 2>/dev/null || :; fi'
)
_HAS_HOME = 'test -e "${1:-$(useradd -D | sed -n s/^HOME=//p)/$2}"'
_LOGGED_IN = 8
"""What userdel ends with when the user has processes."""


@task(iterable=["groups", "without_groups"])
def user(
    c: Context,
    name: str,
    state: str = "present",
    uid: int | None = None,
    group: str = "",
    groups: Sequence[str] = (),
    without_groups: Sequence[str] = (),
    home: str = "",
    shell: str = "",
    comment: str | None = None,
    system: bool = False,
    make_home: bool = True,
    remove_home: bool = False,
) -> Outcome:
    """Have a user with these fields and in these groups, or have none of that name.

    What is not named stays as it is. No password is set: log in with a key. The undo removes a user
    that was made, with the home that was made for it; a removed user comes back with its number
    and groups, but without a password, and a removed home does not come back.

    Args:
        c: the task's Context or Connection.
        name: the user's name.
        state: ``present`` or ``absent``.
        uid: its number.
        group: its primary group, which must exist; by default one of the user's own name.
        groups: further groups that it must be in.
        without_groups: groups that it must not be in.
        home: its home folder; one that is there already is not moved.
        shell: its login shell.
        comment: its full name.
        system: a number from the range of system users, when it is made.
        make_home: make its home folder, when it is made.
        remove_home: remove its home folder too, when it is removed.

    Outputs:
        uid, home, unless it is absent.

    Raises:
        InvalidInput: no such state, or not the name of a user.
        StepFailed: not root, or the host refuses.
    """
    accounts.read_name(name)
    found = look_up(c, name)
    if _is_absent(state):
        return _remove_user(c, found, with_home=remove_home)
    wanted: dict[str, object] = {
        "uid": None if uid is None else _number(uid),
        "group": group or None,
        "home": home or None,
        "shell": shell or None,
        "comment": comment,
    }
    if found is None:
        argv = accounts.add_user_argv(
            name, wanted, _as_list(groups), system=system, make_home=make_home
        )
        return _add_user(c, name, argv, home if make_home else None)
    return _change_user(c, found, wanted, _as_list(groups), _as_list(without_groups))


def look_up(c: Context, name: str) -> accounts.Account | None:
    """The account of this name on the host, or None."""
    answer = command.run(c, ["sh", "-c", _LOOK, "sh", name], check=False)
    lines = answer.stdout.splitlines()
    # getent also takes a number for a name.
    if not answer or len(lines) != 3 or lines[0].partition(":")[0] != name:  # noqa: PLR2004 -- as _LOOK prints
        return None
    return accounts.account_in(*lines)


def _is_absent(state: str) -> bool:
    if state not in {"present", "absent"}:
        raise InvalidInput(f"{state!r} is not a state", hint="write present or absent")
    return state == "absent"


def _add_user(c: Context, name: str, argv: list[str], home: str | None) -> Outcome:
    diff = f"+ user {name}\n"
    if scope(c).check:
        return Outcome(changed=True, message="would be made", diff=diff)
    need_root(c, "making users")
    # A home that somebody else filled must survive the undo.
    there = ["sh", "-c", _HAS_HOME, "sh", home or "", name]
    own_home = home is not None and not command.run(c, there, check=False)
    command.run(c, argv)
    made = look_up(c, name)
    if made is None:
        raise StepFailed(f"useradd did not make the user {name}", where=scope(c).host.name)
    arguments = {"name": name, "state": "absent", "remove_home": own_home}
    return Outcome(
        changed=True,
        message=f"made: number {made.uid}, home {made.home}",
        diff=diff,
        outputs={"uid": made.uid, "home": made.home},
        undo=(Inverse("users.user", arguments),),
    )


def _change_user(
    c: Context,
    found: accounts.Account,
    wanted: dict[str, object],
    groups: list[str],
    without: list[str],
) -> Outcome:
    changes = accounts.differing(wanted, found)
    enter = [one for one in groups if one not in {*found.groups, found.group}]
    leave = [one for one in without if one in found.groups]
    outputs = {"uid": found.uid, "home": found.home}
    if not (changes or enter or leave):
        return Outcome(message="unchanged", outputs=outputs)
    diff = "".join(f"  {key}: {getattr(found, key)} -> {new}\n" for key, new in changes.items())
    diff += "".join(f"+ in group {one}\n" for one in enter)
    diff += "".join(f"- in group {one}\n" for one in leave)
    if scope(c).check:
        return Outcome(True, "would be changed", diff, outputs)
    need_root(c, "changing users")
    if changes:
        command.run(c, accounts.change_user_argv(found.name, changes))
    for one in enter + leave:
        command.run(c, accounts.membership_argv(found.name, one, member=one in enter))
    before = {key: getattr(found, key) for key in changes}
    undo = Inverse(
        "users.user",
        {"name": found.name, **before, "groups": leave, "without_groups": enter},
    )
    return Outcome(True, "changed", diff, outputs, (undo,))


def _remove_user(c: Context, found: accounts.Account | None, *, with_home: bool) -> Outcome:
    if found is None:
        return Outcome(message="unchanged")
    diff = f"- user {found.name}\n" + f"- {found.home}/\n" * with_home
    if scope(c).check:
        return Outcome(changed=True, message="would be removed", diff=diff)
    need_root(c, "removing users")
    gid = _gid(c, found.group)
    answer = command.run(c, accounts.remove_user_argv(found.name, with_home=with_home), check=False)
    if answer.exit_code == _LOGGED_IN:
        raise StepFailed(
            f"{found.name} has processes that run: {answer.stderr.strip()}",
            where=scope(c).host.name,
            hint=f"end them first; see them with: ps -u {found.name}",
        )
    # It also fails on a mailbox that is not there, when the user is long gone.
    if look_up(c, found.name) is not None:
        raise StepFailed(
            f"{found.name} could not be removed: {answer.stderr.strip()}",
            where=scope(c).host.name,
        )
    arguments = {**found.as_arguments(), "make_home": with_home}
    undo = [Inverse("users.user", arguments)]
    if gid is not None:
        # The user's own group went with it, and has to be there before the user is.
        undo.append(Inverse("users.group", {"name": found.group, "gid": gid}))
    return Outcome(changed=True, message="removed", diff=diff, undo=tuple(undo))


@task
def group(
    c: Context, name: str, state: str = "present", gid: int | None = None, system: bool = False
) -> Outcome:
    """Have a group, or have none of that name.

    Args:
        c: the task's Context or Connection.
        name: the group's name.
        state: ``present`` or ``absent``.
        gid: its number.
        system: a number from the range of system groups, when it is made.

    Outputs:
        gid, unless it is absent.

    Raises:
        InvalidInput: no such state, or not the name of a group.
        StepFailed: not root, or the host refuses: it is somebody's primary group, perhaps.
    """
    accounts.read_name(name)
    absent, found = _is_absent(state), _gid(c, name)
    gid = None if gid is None else _number(gid)
    if (found is None) if absent else (found is not None and gid in {None, found}):
        return Outcome(message="unchanged", outputs={} if found is None else {"gid": found})
    if absent:
        argv = ["groupdel", "--", name]
        diff, told = f"- group {name}\n", "removed"
    else:
        argv = accounts.group_argv(name, gid, exists=found is not None, system=system)
        diff = f"+ group {name}\n" if found is None else f"  gid of {name}: {found} -> {gid}\n"
        told = "made" if found is None else "given another number"
    if scope(c).check:
        return Outcome(changed=True, message=f"would be {told}", diff=diff)
    need_root(c, "changing groups")
    members = _members(c, name) if absent else []
    command.run(c, argv)
    undo = [Inverse("users.group", {"name": name, "state": "absent"})]
    if found is not None:
        undo = [Inverse("users.user", {"name": one, "groups": [name]}) for one in members]
        undo.append(Inverse("users.group", {"name": name, "gid": found}))
    made = None if absent else _gid(c, name)
    outputs = {} if made is None else {"gid": made}
    return Outcome(True, told, diff, outputs, tuple(undo))


def _number(value: int | str) -> int:
    """A number, which is a text when it comes from a command line.

    Raises:
        InvalidInput: it is none.
    """
    if not str(value).isdecimal():
        raise InvalidInput(f"{value!r} is not the number of a user or group")
    return int(value)


def _group_fields(c: Context, name: str) -> list[str]:
    answer = command.run(c, ["getent", "group", name], check=False).stdout.strip()
    fields = answer.split(":")
    return fields if fields[0] == name else []


def _gid(c: Context, name: str) -> int | None:
    fields = _group_fields(c, name)
    return int(fields[2]) if fields else None


def _members(c: Context, name: str) -> list[str]:
    fields = _group_fields(c, name)
    return fields[3].split(",") if fields and fields[3] else []


@task
def authorized_key(c: Context, user: str, key: str, state: str = "present") -> Outcome:
    """Let a public key log in as a user, or no longer; every other line of the file stays.

    The file is written as that user, so that its owner is right and no link in the home can lead
    elsewhere.

    Args:
        c: the task's Context or Connection.
        user: whose ``~/.ssh/authorized_keys``.
        key: the line: type, key and comment, perhaps with options before.
        state: ``present`` or ``absent``.

    Raises:
        InvalidInput: not a public key, or no such state.
        NotFound: no such user.
        StepFailed: neither root nor that user.
    """
    line = " ".join(key.split()) if "\n" not in key.strip() else ""
    if "PRIVATE KEY" in key or accounts.key_of(line) is None:
        raise InvalidInput(
            "this is not a line of a public key",
            hint="the content of a file such as id_ed25519.pub",
        )
    absent = _is_absent(state)
    if scope(c).check and not absent and look_up(c, user) is None:
        told = f"would be: may log in as {user}, who is not there yet"
        return Outcome(changed=True, message=told, diff=f"+ {line}\n")
    prefix = _as_user(c, user)
    old = command.run(c, [*prefix, "sh", "-c", _READ_KEYS]).stdout
    new = accounts.without_key(old, line) if absent else accounts.with_key(old, line)
    if new == old:
        return Outcome(message="unchanged")
    diff = difference(f"~{user}/.ssh/authorized_keys", old.encode(), new.encode())
    told = "removed" if absent else "may log in"
    if scope(c).check:
        return Outcome(changed=True, message=f"would be: {told}", diff=diff)
    command.run(c, [*prefix, "sh", "-c", _WRITE_KEYS], input=new)
    wanted = accounts.key_of(line)
    before = next((one for one in old.splitlines() if accounts.key_of(one) == wanted), "")
    back = {"user": user, "key": before or line, "state": "present" if before else "absent"}
    undo = (Inverse("users.authorized_key", back),)
    return Outcome(changed=True, message=told, diff=diff, undo=undo)


def _as_user(c: Context, name: str) -> list[str]:
    """What runs a command as a user of the host, with that user's home."""
    accounts.read_name(name)
    here = scope(c)
    found = look_up(c, name)
    if found is None:
        raise NotFound(
            f"there is no user {name}", where=here.host.name, hint="users.user makes one"
        )
    if name == here.host.user and not here.sudo:
        return ["env", f"HOME={found.home}"]
    if not acts_as_root(c):
        need_root(c, f"acting for {name}")
    return ["runuser", "-u", name, "--", "env", f"HOME={found.home}"]


def _as_list(value: Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)
