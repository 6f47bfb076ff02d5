"""What the prompt's history keeps on disk, and the text of statements of a long cell."""

from __future__ import annotations

import ast
import sqlite3

from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config

from orchestrator.shell.history import RedactedHistory, history_file
from orchestrator.shell.statements import as_typed


def kept(path):
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT source_raw FROM history")]
    finally:
        connection.close()


def test_secrets_stay_out_of_the_file_and_in_memory_only(tmp_path):
    path = history_file(tmp_path)
    silent = Config({"HistoryManager": {"enabled": False}})
    shell = InteractiveShell(ipython_dir=str(tmp_path / "ipython"), config=silent)
    options = Config({"HistoryManager": {"hist_file": str(path)}})
    history = RedactedHistory(shell=shell, config=options)
    typed = ['password = "hunter2secret"', "!curl -u root:hunter3pass http://host", "ps()"]
    try:
        for number, line in enumerate(typed, start=1):
            history.store_inputs(number, line)
        history.writeout_cache()
    finally:
        history.end_session()
    assert history.input_hist_raw[1:] == typed
    assert kept(path) == ['password = "********"', "!curl -u root:******** http://host", "ps()"]
    for file in tmp_path.glob("history.*"):
        assert b"hunter" not in file.read_bytes()
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_history_that_others_could_read_is_closed_to_them(tmp_path):
    path = tmp_path / "history.sqlite"
    path.touch(0o644)
    assert history_file(tmp_path).stat().st_mode & 0o777 == 0o600


def test_the_cell_is_split_once_however_many_statements_it_has(monkeypatch):
    cell = "\r\n".join(f"x{number} = 'ö\f'; y = 1" for number in range(200))
    nodes = ast.parse(cell).body
    monkeypatch.setattr(ast, "get_source_segment", None)  # it splits the cell for each of them
    found = [as_typed(node, cell) for node in nodes]
    assert found == [text for number in range(200) for text in (f"x{number} = 'ö\f'", "y = 1")]
