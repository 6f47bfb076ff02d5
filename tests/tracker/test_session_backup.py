"""Backups: whole, proven, described, and nothing that only looks like one (guide 7.3)."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import duckdb
import pytest
import zstandard
from tracker_events import make_event, wire
from tracker_servers import DEADLINE, until

from schemas.backup import LATEST, Manifest, manifest_name
from schemas.errors import InvalidInput, SessionopsError
from tracker.store.search_reads import unindexed_events
from tracker.store.snapshot import Snapshot, copy_file, prove
from tracker.store.transactions import checkpoint


def names(folder):
    return sorted(path.name for path in folder.glob("*") if not path.is_symlink())


def unpacked(backup, folder):
    """The database in a backup."""
    target = folder / f"{backup.name}.unpacked"
    with backup.open("rb") as packed, target.open("wb") as file:
        zstandard.ZstdDecompressor().copy_stream(packed, file)
    return target


def rows_of(database, sql):
    with duckdb.connect(str(database), read_only=True) as connection:
        return connection.execute(sql).fetchall()


def check_backup(folder, name, tmp_path):
    """Hold a backup against its manifest, and its manifest against what is in it."""
    manifest = Manifest.from_dict(json.loads((folder / manifest_name(name)).read_text()))
    content = (folder / name).read_bytes()
    assert (manifest.sha256, manifest.size) == (hashlib.sha256(content).hexdigest(), len(content))
    database = unpacked(folder / name, tmp_path)
    digest = hashlib.sha256(database.read_bytes()).hexdigest()
    assert (manifest.database_sha256, manifest.database_size) == (digest, database.stat().st_size)
    assert rows_of(database, "SELECT count(*) FROM session_events") == [(manifest.events,)]
    assert rows_of(database, "SELECT count(*) FROM sessions") == [(manifest.sessions,)]
    return manifest, database


def test_a_backup_is_what_its_manifest_says(service, store, settings, tmp_path):
    store(make_event("s", "session_start"), *(make_event("s") for _ in range(50)))
    made = service.backup(reason="before a deploy")
    folder = settings.places.backups
    manifest, database = check_backup(folder, made.name, tmp_path)
    assert manifest == made
    assert (made.sessions, made.events) == (1, 51)
    assert (made.reason, made.min_reader, made.storage_version) == (
        "before a deploy",
        "0.1.0",
        "v1.2.0",
    )
    newest = max(event.received_at for event in service.list_events("s").events)
    assert datetime.fromisoformat(made.newest_event) == newest
    assert made.name == f"sessions-{made.name[9:24]}.db.zst"
    assert names(folder) == [made.name, manifest_name(made.name)]
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}
    assert rows_of(database, "SELECT tags FROM duckdb_databases() WHERE NOT internal")[0][0][
        "storage_version"
    ].startswith("v1.2.0")


def test_latest_is_the_newest_and_names_never_collide(service, store, settings):
    store(make_event("s", "session_start"))
    threads = [threading.Thread(target=service.backup) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
    backups = sorted(settings.places.backups.glob("sessions-2*.db.zst"))
    assert len(backups) == 2
    assert (settings.places.backups / LATEST).readlink().name == backups[-1].name


def test_the_database_goes_on_after_a_backup(service, store):
    store(make_event("s", "session_start"))
    service.backup()
    store(make_event("s"))
    assert service.get_session("s").event_count == 2
    assert service.totals().last_backup is not None


def test_a_backup_may_go_elsewhere(service, tmp_path):
    made = service.backup(str(tmp_path / "a new" / "place"))
    assert Path(made.directory, made.name).is_file()
    with pytest.raises(InvalidInput, match="not an absolute path"):
        service.backup("relative")


def test_a_place_that_cannot_be_had_is_named(service, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SessionopsError, match="the backup failed") as refusal:
        service.backup(str(tmp_path / "file"))
    assert refusal.value.where == str(tmp_path / "file")


def test_a_copy_that_cannot_be_read_gets_no_name(service, store, settings, monkeypatch):
    """The disk gives back something else than was written."""
    store(make_event("s", "session_start"), *(make_event("s") for _ in range(2000)))

    def copy_with_a_bad_block(source, target):
        copy_file(source, target)
        with open(target, "r+b") as file:  # noqa: PTH123
            size = file.seek(0, os.SEEK_END)
            for position in range(3 * 4096, size, 4096):
                file.seek(position)
                file.write(b"\xa5" * 64)

    monkeypatch.setattr("tracker.store.snapshot.copy_file", copy_with_a_bad_block)
    with pytest.raises(SessionopsError, match="cannot be read"):
        service.backup()
    assert names(settings.places.backups) == []
    monkeypatch.undo()
    assert service.backup().events == 2001


def test_a_copy_with_other_content_gets_no_name(service, store, settings, tmp_path):
    store(make_event("s", "session_start"))
    made = service.backup()
    _, database = check_backup(settings.places.backups, made.name, tmp_path)
    store(make_event("s"))
    from tracker.store.snapshot import content_of

    newer = service._writer.call(content_of).result(DEADLINE)
    with pytest.raises(SessionopsError, match="the copy holds"):
        prove(Snapshot(database, datetime.fromisoformat(made.created_at), newer))


def test_a_backup_under_load_has_every_event_acknowledged_before_it(server, tmp_path):
    """Guide 7.3 copies the file of a live database; its copy had no tables."""
    acknowledged = []
    enough = threading.Event()
    done = threading.Event()

    def send():
        with server.client("ingest") as client:
            while not done.is_set():
                batch = [make_event("s") for _ in range(20)]
                client.post("/api/v1/events", wire(*batch))
                acknowledged.extend(event.event_id for event in batch)
                if len(acknowledged) > 400:
                    enough.set()

    with server.client("ingest") as client:
        client.post("/api/v1/events", wire(make_event("s", "session_start")))
    senders = [threading.Thread(target=send) for _ in range(2)]
    for sender in senders:
        sender.start()
    try:
        assert enough.wait(DEADLINE)
        before = set(acknowledged)
        with server.client("operate") as client:
            made = client.post("/api/v1/backups")
    finally:
        done.set()
        for sender in senders:
            sender.join()
    assert len(acknowledged) > len(before), "the server took events meanwhile"
    _, database = check_backup(Path(made["directory"]), made["name"], tmp_path)
    stored = {row[0] for row in rows_of(database, "SELECT event_id FROM session_events")}
    assert before <= stored


def test_a_server_killed_in_a_backup_leaves_nothing_that_looks_like_one(server, tmp_path):
    folder = server.places.backups
    with server.client("ingest") as client:
        for _ in range(4):
            batch = [make_event("s", data={"text": os.urandom(600).hex()}) for _ in range(2000)]
            client.post("/api/v1/events", wire(*batch))

    def ask():
        with server.client("operate") as client, suppress(SessionopsError):
            client.post("/api/v1/backups")

    for seen in ("", "copy.db", "packed"):
        asking = threading.Thread(target=ask)
        asking.start()
        until(lambda: list(folder.glob(f".backup-*/{seen}")), "the backup to begin")  # noqa: B023
        server.kill()
        asking.join(DEADLINE)
        for name in names(folder):
            if name.endswith(".db.zst"):
                check_backup(folder, name, tmp_path)  # it had been quicker than the signal
            else:
                assert name.startswith(".backup-") or name.endswith(".manifest.json")
        server.start()
    with server.client("operate") as client:
        made = client.post("/api/v1/backups")
    assert list(folder.glob(".backup-*")) == [], "the next backup clears up"
    manifest, _ = check_backup(folder, made["name"], tmp_path)
    assert manifest.events == 8000


def test_readers_keep_no_checkpoint_from_being_made(service, store):
    # While somebody reads, DuckDB may answer that there are other write transactions.
    stop = threading.Event()

    def read():
        while not stop.is_set():
            unindexed_events(service._database, 1_000)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for number in range(25):
            store(make_event(f"s{number}", "session_start"))
            service._writer.call(checkpoint).result(DEADLINE)
    finally:
        stop.set()
        for reader in readers:
            reader.join(DEADLINE)
