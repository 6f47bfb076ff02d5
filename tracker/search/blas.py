"""Keeps numpy's matrix library to one thread.

OpenBLAS starts a thread a core and lets them spin between calls; beside a server that also
ingests, that costs more than it gives. Texts are spread over threads by ``minilm`` instead.
"""

from __future__ import annotations

import ctypes
from pathlib import Path

# The name depends on who built numpy: its own wheels, older wheels, a distribution.
_SETTERS = (
    "scipy_openblas_set_num_threads64_",
    "scipy_openblas_set_num_threads",
    "openblas_set_num_threads64_",
    "openblas_set_num_threads",
)


def use_one_thread() -> bool:
    """Tell every OpenBLAS in this process to compute in the calling thread.

    Call it after numpy was imported.

    Returns:
        Whether one was found; on other systems (macOS has Accelerate) there is none to tell.
    """
    told = False
    for library in _loaded_openblas():
        setter = next((getattr(library, name) for name in _SETTERS if hasattr(library, name)), None)
        if setter is not None:
            setter(ctypes.c_int(1))
            told = True
    return told


def _loaded_openblas() -> list[ctypes.CDLL]:
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return []
    paths = {
        line.split(maxsplit=5)[5]
        for line in maps.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
        if "openblas" in line
    }
    return [ctypes.CDLL(path) for path in sorted(paths) if Path(path).is_file()]
