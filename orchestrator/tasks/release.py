"""Releases: make one, switch to it, go back, and remove the old ones."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from invoke.tasks import task

from orchestrator.tasks import command, processes
from orchestrator.tasks.files import set_link
from orchestrator.tasks.interpreter import find_interpreter
from orchestrator.tasks.outcome import Inverse, Outcome, changes_nothing, records_no_undo
from orchestrator.tasks.release_choice import choose, fault_of, mark_damaged, wheel_kept
from orchestrator.tasks.release_history import (
    Entry,
    confirmed,
    history,
    record,
    release_before,
    surplus,
)
from orchestrator.tasks.release_install import install, remove, use_again
from orchestrator.tasks.release_record import (
    Release,
    current_release,
    folder_of,
    not_usable,
    now,
    release_named,
    releases,
    usable,
    whole_release,
    write_release,
)
from orchestrator.tasks.release_source import find_source
from orchestrator.tasks.scope import control_of, scope
from schemas.errors import NotFound

if TYPE_CHECKING:
    from invoke.context import Context


@task
@records_no_undo
def create(c: Context, version: str = "") -> Outcome:
    """Make a release, unless one of the same content is there.

    Another host needs Python and no package index: wheels, lock and uv are brought to it, what it
    has already not again.

    Args:
        c: the task's Context or Connection.
        version: a git ref, the path of a wheel, or a release that is there; empty: this checkout
            (from a release: that release).

    Outputs:
        release, path, version, active: whether ``current`` names it already.

    Raises:
        NotFound: no such ref, wheel or release, or a release that failed.
        StepFailed: it could not be made; what runs is not touched.
    """
    here = scope(c)
    named = whole_release(c, version)
    if named and not fault_of(c, named):
        return _outcome(c, named, f"{named.id} is there")
    if named and (wheel := wheel_kept(c, named)):
        version = str(wheel)
    interpreter = find_interpreter(c)
    with tempfile.TemporaryDirectory(prefix="sessionops-") as scratch:
        source = find_source(control_of(c), version, Path(scratch))
        choice = choose(c, source.release_id(interpreter.version))
        if choice.ready:
            return _outcome(c, choice.ready, f"{choice.name} is there, made from the same content")
        would = Release(choice.name, source.version)
        if here.check:
            return _outcome(c, would, f"{would.id} would be made{choice.note}", True)
        if choice.failed and (used := use_again(c, choice.failed)):
            told = f"{used.id} is tried as it is, since it is in use"
            return _outcome(c, used, f"{told}{choice.note}", True)
        made = install(c, source, choice.name, interpreter)
    mark_damaged(c, choice)
    return _outcome(c, made, f"{made.id} made from {source.title}{choice.note}", True)


def _outcome(c: Context, release: Release, message: str, changed: bool = False) -> Outcome:
    path, active = folder_of(c, release.id), current_release(c) == release.id
    named = {"release": release.id, "path": str(path), "version": release.version}
    outputs = {**named, "active": active}
    diff = f"+ {path}/\n" if changed else ""
    return Outcome(changed=changed, message=message, diff=diff, outputs=outputs)


@task
def activate(c: Context, release: str, back: bool = False) -> Outcome:
    """Point ``current`` to a release, in one rename.

    A release that ``current`` names already, but that no run has proven good, counts as a change: a
    deploy died between its switch and its end, and this one has to be able to go back.

    Args:
        c: the task's Context or Connection.
        release: its id.
        back: it is gone back to, not deployed.

    Raises:
        NotFound: there is no such release, or it is not whole.
    """
    found = release_named(c, release)
    if found is None or found.state != "ready":
        if scope(c).check and found is None:
            diff = f"+ current -> {release}\n"
            return Outcome(changed=True, message=f"would be {release}", diff=diff)
        raise not_usable(c, release, found)
    entries, current = history(c), current_release(c)
    proven = current == release and confirmed(entries)[-1:] == [release]
    if proven:
        return Outcome(message="unchanged", outputs={"release": release, "previous": release})
    to = current if current != release else release_before(entries, current, usable(c)) or ""
    diff = f"- current -> {current}\n" * bool(current) + f"+ current -> {release}\n"
    outputs = {"release": release, "previous": to or ""}
    undo = Inverse("release.revert", {"to": to or "", "failed": release})
    told = f"{current or 'nothing'} -> {release}"
    if current == release:
        told, diff = f"{release}, switched to by a run that did not end", ""
    elif not scope(c).check:
        record(c, Entry("activated", release, back))
        _switch(c, release)
    return Outcome(changed=True, message=told, diff=diff, outputs=outputs, undo=(undo,))


def _switch(c: Context, release: str) -> None:
    set_link(c, scope(c).places.current, f"{scope(c).places.releases.name}/{release}")


@task
def revert(c: Context, to: str, failed: str, reason: str = "") -> Outcome:
    """Undo a switch: ``current`` names what it named before, and the release is marked as failed.

    Args:
        c: the task's Context or Connection.
        to: the release before; empty: there was none, and ``current`` goes.
        failed: the release that is never chosen for a rollback from now on.
        reason: why, for a person.
    """
    here, current = scope(c), current_release(c)
    told = f"{current or 'nothing'} -> {to or 'nothing'}"
    if here.check:
        return Outcome(changed=True, message=told)
    if to and current != to:
        found = release_named(c, to)
        if found is None:
            raise not_usable(c, to, found)
        _switch(c, to)
    elif not to:
        command.run(c, ["rm", "-f", "--", here.places.current])
    record(c, Entry("reverted", to))
    ill = release_named(c, failed)
    if ill and ill.state == "ready":
        reason = reason or f"run {here.run_id} was rolled back"
        write_release(c, replace(ill, state="failed", reason=reason, failed_at=now()))
    return Outcome(changed=True, message=f"{told}; {failed} is marked as failed")


@task
@records_no_undo
def confirm(c: Context, back: bool = False) -> Outcome:
    """Record that what ``current`` names was proven good, so that a rollback may choose it."""
    current = current_release(c)
    if current is None and scope(c).check:
        return Outcome(changed=True, message="would be recorded")
    if current is None:
        raise NotFound("no release is in use", where=scope(c).host.name)
    entries = history(c)
    unfinished = bool(entries) and entries[-1].event == "activated"
    if confirmed(entries)[-1:] == [current] and not unfinished:
        return Outcome(message="unchanged", outputs={"release": current})
    if not scope(c).check:
        record(c, Entry("confirmed", current, back))
    return Outcome(changed=True, message=f"{current} is good", outputs={"release": current})


@task
@changes_nothing
def previous(c: Context, to: str = "") -> Outcome:
    """Find the release to go back to: the newest that was proven good before and did not fail.

    Args:
        c: the task's Context or Connection.
        to: this one instead, if it is there and did not fail.

    Outputs:
        release, current.

    Raises:
        NotFound: there is none.
    """
    current, there = current_release(c), usable(c)
    if to and to not in there:
        raise not_usable(c, to, release_named(c, to))
    found = to or release_before(history(c), current, there)
    if not found:
        raise NotFound(
            f"there is no release to go back to before {current or 'the first deploy'}",
            where=scope(c).host.name,
            hint="list the releases: invoke release.list",
        )
    return Outcome(message=f"{current} -> {found}", outputs={"release": found, "current": current})


@task
@changes_nothing
def in_use(c: Context) -> Outcome:
    """See that a release is in use; what asks its commands can only begin then.

    Outputs:
        release.

    Raises:
        NotFound: none is.
    """
    current = current_release(c)
    if current is None:
        raise NotFound("no release is in use", where=scope(c).host.name, hint="invoke deploy first")
    return Outcome(message=current, outputs={"release": current})


@task(name="list")
@changes_nothing
def list_releases(c: Context) -> Outcome:
    """List the releases on the host, the newest first."""
    current, proven = current_release(c), confirmed(history(c))
    lines, listed = [], []
    for release in releases(c):
        marks = ["current"] * (release.id == current)
        marks += ["proven"] * (release.id in proven) + [release.reason] * bool(release.reason)
        lines.append(
            f"{release.id}  {release.state}  {release.created}  {', '.join(marks)}".rstrip()
        )
        listed.append({**vars(release), "current": release.id == current})
    return Outcome(message="\n".join(lines) or "no releases yet", outputs={"releases": listed})


@task
@records_no_undo
def prune(c: Context, keep: int = 5) -> Outcome:
    """Remove all but the newest releases.

    Never removed: what ``current`` names, what a rollback would go to, what a process runs from.

    Args:
        c: the task's Context or Connection.
        keep: how many are kept.
    """
    found = releases(c)
    old = surplus(found, history(c), current_release(c), int(keep))
    used = processes.running_from(c, [folder_of(c, name) for name in old])
    old = [name for name in old if str(folder_of(c, name)) not in used]
    if not old:
        return Outcome(message=f"unchanged, {len(found)} kept", outputs={"removed": []})
    diff = "".join(f"- {folder_of(c, name)}/\n" for name in old)
    if not scope(c).check:
        remove(c, old)
    return Outcome(changed=True, message=f"{len(old)} removed", diff=diff, outputs={"removed": old})
