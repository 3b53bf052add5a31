"""What a camera's process and its supervisor say to each other: JSON and veiled frames.

The supervisor says first what is to be done, then `watch`, `rest` and `stop`; when it is gone, the
channel ends, and so does the camera's process. A camera's process says:

- `status`: once per second, with its counts;
- `notice`: a line for the log;
- `event`: an event that begins or ends, by the wall clock;
- `probed`: what a probe found;
- `failed`: why the process ends.

Raw frames never pass here: the process that serves the network holds none.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
from numpy.typing import NDArray

LATENCIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds, in seconds, of the bins in which latencies are measured and reported."""

_FRAME = b"F"  # JSON begins otherwise
_SHAPE = struct.Struct(">II")
_MOST = 1 << 26  # bytes of a message: a veiled frame of 4096 x 4096


def frame_message(image: NDArray[np.uint8]) -> bytes:
    """Return a veiled frame, uint8 (H, W, 3), as a message."""
    return _FRAME + _SHAPE.pack(*image.shape[:2]) + image.tobytes()


def message(kind: str, **fields: Any) -> bytes:
    """Return anything else as a message."""
    return json.dumps({"kind": kind, **fields}).encode()


def receive(connection: Connection) -> Mapping[str, Any] | NDArray[np.uint8]:
    """Wait for the next message: a veiled frame, or a mapping with `kind`.

    Raises:
        EOFError: The other side is gone.
        OSError: Likewise, in the middle of a message.
    """
    data = connection.recv_bytes(_MOST)
    if data[:1] == _FRAME:
        height, width = _SHAPE.unpack_from(data, 1)
        image = np.frombuffer(data, np.uint8, offset=1 + _SHAPE.size)
        return image.reshape(height, width, 3)
    found: Mapping[str, Any] = json.loads(data)
    return found
