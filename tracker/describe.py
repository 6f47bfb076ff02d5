"""Write the description of the tracker's API that people read: ``python -m tracker.describe``.

The same that a running tracker answers at ``/openapi.json``, and a page made from it.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from schemas.places import Places
from schemas.settings import Settings
from tracker.api import Api
from tracker.ingest_api import BATCH_BOUNDS, IngestApi
from tracker.server import SERVICE, describe
from tracker.sessions import SessionService
from tracker.web.api_page import api_page
from tracker.web.identity import Identity
from tracker.web.traffic import Distribution

FOLDER = Path(__file__).resolve().parents[1] / "docs"


def document() -> dict[str, Any]:
    """The description of a tracker that was made for it, in a folder that goes."""
    with tempfile.TemporaryDirectory() as folder:
        places = Places(home=Path(folder, "home"), tracker_home=Path(folder, "tracker"))
        settings = Settings.load(places, {})
        service = SessionService.open(settings)
        try:
            identity = Identity.of_this_process(SERVICE, settings)
            ingest = IngestApi(service, Distribution(BATCH_BOUNDS))
            return describe(service, Api(service, identity), ingest).document
        finally:
            service.close()


def documents() -> dict[str, str]:
    """The text of every file, by file name."""
    made = document()
    return {"openapi.json": json.dumps(made, indent=2) + "\n", "api.md": api_page(made)}


def main() -> int:
    """Write every file and say which changed."""
    for name, text in documents().items():
        path = FOLDER / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote docs/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
