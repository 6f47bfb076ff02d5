"""The database file: who owns it, what schema it has, which releases may open it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from tracker_events import make_event
from tracker_servers import until

from schemas.backup import Manifest
from schemas.errors import Busy, InvalidInput, SessionopsError
from tracker.sessions import SessionService
from tracker.store.database import Database
from tracker.store.migrations import MIGRATIONS, Migration, version_key

HOLD = """
import sys, time
from pathlib import Path
import duckdb
connection = duckdb.connect(sys.argv[1])
print("open", flush=True)
time.sleep(60)
"""

NEXT = MIGRATIONS[-1].version + 1


def opened(settings, **more):
    more = {"role": "session-buddy", "release": "0.1.0", "wait": 0, **more}
    return Database.open(settings.database, **more)


def columns(database, table):
    rows = database.query(
        "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = ?", [table]
    )
    return dict(rows)


def test_the_tables_have_the_guide_s_columns(settings):
    """Guide 9.3."""
    database = opened(settings)
    assert columns(database, "sessions").keys() >= {
        *("session_id", "component", "session_type", "start_time", "end_time"),
        *("duration_seconds", "command_count", "metadata", "created_at"),
    }
    events = columns(database, "session_events")
    assert events.keys() >= {"event_id", "session_id", "event_type", "timestamp", "data"}
    assert events["timestamp"] == "TIMESTAMP WITH TIME ZONE"
    indexes = {name for (name,) in database.query("SELECT index_name FROM duckdb_indexes()")}
    assert indexes >= {"idx_sessions_start_time", "idx_session_events_session_id"}
    database.close()


def test_the_file_is_in_the_old_format_and_private(settings):
    database = opened(settings)
    tags = database.query("SELECT tags FROM duckdb_databases() WHERE database_name = 'store'")
    assert tags[0][0]["storage_version"].startswith("v1.2.0")
    assert settings.database.stat().st_mode & 0o777 == 0o600
    assert settings.database.parent.stat().st_mode & 0o777 == 0o700
    database.close()


def test_sql_reaches_no_other_file(settings):
    import duckdb

    database = opened(settings)
    with pytest.raises(duckdb.PermissionException):
        database.query("SELECT * FROM read_text('/etc/hostname')")
    assert database.query("SELECT 1") == [(1,)]
    database.close()


def test_a_second_owner_is_told_who_the_first_one_is(settings):
    first = opened(settings)
    with pytest.raises(Busy) as refusal:
        opened(settings, wait=0.2)
    assert f"session-buddy (pid {os.getpid()}) since 20" in refusal.value.message
    assert refusal.value.where == str(settings.database)
    assert refusal.value.hint == "stop it first: session-buddy mcp stop"
    first.close()
    opened(settings).close()


def test_a_foreign_program_that_has_the_file_open_is_named_too(settings):
    opened(settings).close()
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(settings.database)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(Busy, match=f"the process with pid {holder.pid}"):
            opened(settings, wait=0.2)
        holder.kill()
        holder.wait()
        # Whoever waits gets it when the other one goes.
        opened(settings, wait=5).close()


def test_the_record_of_a_dead_owner_keeps_nobody_out(settings):
    settings.database.parent.mkdir(parents=True)
    record = {"role": "session-buddy", "pid": 1, "since": "2026-11-23T09:00:00+00:00"}
    settings.database.with_name("sessions.db.owner").write_text(json.dumps(record))
    opened(settings).close()


def test_a_file_that_is_no_database_is_not_touched(settings):
    settings.database.parent.mkdir(parents=True)
    settings.database.write_bytes(b"not a database" * 1000)
    with pytest.raises(SessionopsError, match="cannot be opened") as refusal:
        opened(settings)
    assert "restore a backup" in refusal.value.hint
    assert settings.database.read_bytes() == b"not a database" * 1000


def test_a_place_that_cannot_be_written_is_named(settings):
    settings.places.tracker_home.parent.mkdir(parents=True, exist_ok=True)
    settings.places.tracker_home.write_text("a file where a folder should be")
    with pytest.raises(InvalidInput, match="cannot be kept here"):
        opened(settings)


NOTES = Migration(NEXT, "notes", "0.1.0", ("ALTER TABLE sessions ADD COLUMN note TEXT",))
FUTURE = Migration(NEXT, "something new", "7.1.0", ("CREATE TABLE something_new (i INTEGER)",))
BROKEN = Migration(NEXT, "broken", "0.1.0", ("CREATE TABLE half (i INTEGER)", "SELECT nonsense"))


def with_data(settings):
    service = SessionService.open(settings, wait=0)
    service.ingest([make_event("s", "session_start")]).result()
    service.close()


def test_a_migration_adds_to_a_file_with_data(settings):
    with_data(settings)
    database = opened(settings, migrations=(*MIGRATIONS, NOTES), release="0.2.0")
    assert database.schema.version == NEXT
    assert database.query("SELECT session_id, note FROM sessions") == [("s", None)]
    recorded = database.query("SELECT version, release FROM schema_migrations ORDER BY version")
    assert [version for version, _ in recorded] == list(range(1, NEXT + 1))
    assert recorded[-1][1] == "0.2.0"
    database.close()


def test_an_older_release_goes_on_with_what_it_can_read(settings):
    opened(settings, migrations=(*MIGRATIONS, NOTES), release="0.2.0").close()
    with_data(settings)  # this release, which does not know the next schema


def test_a_schema_that_is_too_new_is_refused_and_the_reader_named(settings):
    opened(settings, migrations=(*MIGRATIONS, FUTURE), release="7.1.0").close()
    with pytest.raises(InvalidInput) as refusal:
        opened(settings)
    assert refusal.value.exit_code == 2
    known = f"has schema {NEXT}, this release (0.1.0) knows schema {NEXT - 1}"
    assert known in refusal.value.message
    assert "release 7.1.0 or newer can read it" in refusal.value.message
    opened(settings, migrations=(*MIGRATIONS, FUTURE), release="7.1.0").close()


def test_a_migration_that_fails_leaves_the_file_as_it_was(settings):
    import duckdb

    with_data(settings)
    with pytest.raises(duckdb.Error):
        opened(settings, migrations=(*MIGRATIONS, BROKEN))
    database = opened(settings)
    assert database.schema.version == NEXT - 1
    assert database.query("SELECT 1 FROM duckdb_tables() WHERE table_name = 'half'") == []
    database.close()


def test_a_file_with_data_is_backed_up_before_it_is_migrated(settings):
    with_data(settings)
    SessionService.open(settings, wait=0, migrations=(*MIGRATIONS, NOTES)).close()
    (description,) = settings.places.backups.glob("*.manifest.json")
    manifest = Manifest.from_dict(json.loads(description.read_text()))
    assert (manifest.schema_version, manifest.sessions) == (NEXT - 1, 1)
    assert manifest.reason == f"before the migration of schema {NEXT - 1}"


def test_a_new_file_needs_no_backup(settings):
    SessionService.open(settings, wait=0).close()
    assert not settings.places.backups.exists()


@pytest.mark.parametrize(
    ("older", "newer"), [("0.1.0", "0.2.0"), ("0.9.0", "0.10.0"), ("1.0", "1.0.1"), ("", "0.1.0")]
)
def test_versions_compare_by_their_numbers(older, newer):
    assert version_key(older) < version_key(newer)


def test_the_suffix_of_a_version_does_not_count():
    assert version_key("0.1.0.dev3+g6955a9e") == version_key("0.1.0")


def test_readers_do_not_wait_for_each_other(settings):
    database = opened(settings)
    with database.reading() as one, database.reading() as two:
        assert one is not two
        assert one.execute("SELECT 1").fetchall() == two.execute("SELECT 1").fetchall()
    database.close()


def test_closing_ends_the_process_s_hold_at_once(settings):
    opened(settings).close()
    probe = subprocess.run(
        [sys.executable, "-c", f"import duckdb; duckdb.connect({str(settings.database)!r})"],
        check=False,
    )
    assert probe.returncode == 0
    assert until(lambda: not settings.database.with_name("sessions.db.wal").exists(), "no log")
