#!/usr/bin/env python3
"""Download the embedding model (guide 6.1, issue 5): the same as ``session-buddy models fetch``.

Run it with the interpreter of the environment that has what session-buddy needs.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tracker.cli import session_buddy
from tracker.client.console import run

if __name__ == "__main__":
    sys.argv[1:1] = ["models", "fetch"]
    run(session_buddy, "session-buddy")
