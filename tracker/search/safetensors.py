"""Reads a ``.safetensors`` file as numpy arrays that stay on disk until they are used.

The library of that name copies every tensor into memory: 87 MB more of it for all-MiniLM-L6-v2.
Mapped, the weights share the page cache with other processes and can be dropped from it.
Format: https://huggingface.co/docs/safetensors (8 bytes length, JSON header, data).
"""

from __future__ import annotations

import json
import mmap
from typing import TYPE_CHECKING, Any

import numpy as np

from schemas.errors import InvalidInput

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

_LENGTH_BYTES = 8


def map_float32(path: Path) -> dict[str, NDArray[np.float32]]:
    """Every 32-bit float tensor of the file by its name, read-only.

    The file must not be shortened in place while an array lives; replacing it by a rename is safe.

    Raises:
        InvalidInput: the file is not in the format, or shorter than its header says.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError:
            raise InvalidInput("the file is empty", where=str(path)) from None
    try:
        start = _LENGTH_BYTES + int.from_bytes(data[:_LENGTH_BYTES], "little")
        header = json.loads(data[_LENGTH_BYTES:start])
        return {
            name: _tensor(data, start, entry)
            for name, entry in header.items()
            if name != "__metadata__" and entry["dtype"] == "F32"
        }
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidInput(f"not a safetensors file: {error}", where=str(path)) from error


def _tensor(data: mmap.mmap, start: int, entry: dict[str, Any]) -> NDArray[np.float32]:
    begin, end = entry["data_offsets"]
    count = (end - begin) // np.dtype(np.float32).itemsize
    return np.frombuffer(data, np.float32, count, start + begin).reshape(entry["shape"])
