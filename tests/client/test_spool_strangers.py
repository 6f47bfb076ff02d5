"""What is in the spool folder and no spool file must not keep the others from being delivered."""

from __future__ import annotations

import os

from tracker.client.flush import spool_status
from tracker.client.spool import Spool, adopt_all, spool_files, strange_entries

LINE = b'{"event_id": "e", "session_id": "s", "event_type": "command"}\n'


def test_strangers_are_skipped_and_named(tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_bytes(LINE)
    spool = tmp_path / "spool"
    spool.mkdir()
    (spool / "a.jsonl").mkdir()
    (spool / "b.jsonl").symlink_to(elsewhere)
    (spool / "c.jsonl").symlink_to(tmp_path / "nowhere")
    os.mkfifo(spool / "d.jsonl")
    (spool / "e.jsonl").write_bytes(LINE)
    assert [path.name for path in spool_files(spool)] == ["e.jsonl"]
    assert strange_entries(spool) == ["a.jsonl", "b.jsonl", "c.jsonl", "d.jsonl"]
    assert Spool.adopt(spool / "a.jsonl") is None
    assert [found.read(10).lines for found in adopt_all(spool)] == [[LINE.strip()]]
    assert elsewhere.read_bytes() == LINE


def test_the_status_tells_of_them(down):
    folder = down.places.spool
    (folder / "x.jsonl").mkdir(parents=True)
    (folder / "rejected" / "y.jsonl").mkdir(parents=True)
    found = spool_status(down.settings)
    assert (found.events, found.rejected, found.skipped) == (0, 0, ("x.jsonl",))
