"""A destination: `out.npy`, all frames as one array."""

from pathlib import Path

import numpy as np

from motionveil.video.sinks import register


class ArraySink:
    """Keeps frames, and writes them at the end."""

    def __init__(self, dest):
        self.name, self.frames, self._images = dest, 0, []

    def __enter__(self):
        return self

    def write(self, image, pts=None):
        """Keep a frame, uint8 (H, W, 3)."""
        self._images.append(image.copy())
        self.frames += 1

    def __exit__(self, kind, error, trace):
        if error is None:
            np.save(self.name, np.stack(self._images))


@register("out.npy", "a numpy array", takes=lambda dest: Path(dest).suffix == ".npy")
def open_array(dest, options):
    """Open an array."""
    return ArraySink(dest)
