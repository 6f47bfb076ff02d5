"""The JSON Schemas in the repository are the ones that the models give."""

import json

from schemas.generate import FOLDER, documents


def test_the_schema_files_are_up_to_date():
    written = {path.name: path.read_text() for path in FOLDER.glob("*.json")}
    assert written == documents(), "run: python -m schemas.generate"


def test_a_runbook_step_is_described():
    step = json.loads(documents()["runbook.schema.json"])["$defs"]["Step"]
    assert {"id", "task", "with", "verify", "undo"} <= set(step["properties"])
