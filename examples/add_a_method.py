"""Add a method in one file, score it beside others, and veil a video with it.

This one filters every frame along both axes, so its matrix says everything. A method of another
kind brings a torch module, and what veils a stream: see docs/methods.md.
"""

import tempfile

import numpy as np
from pydantic import Field

import motionveil
from motionveil.datasets.actors import make_actors
from motionveil.methods import Method, Settings, register


class BoxSettings(Settings):
    width: int = Field(ge=1)  # in pixels of the working size


@register
class Box(Method):
    name, label, help = "box", "box blur", "box blur; the strength is its width in pixels"
    settings, strength = BoxSettings, "width"
    encoder = "motionveil.encoders.blur:Filter"
    stream = "motionveil.streaming.veils:FilterVeil"

    def matrix(self, settings: BoxSettings, size: int) -> np.ndarray:
        near = np.abs(np.subtract.outer(np.arange(size), np.arange(size))) <= settings.width // 2
        return near / near.sum(axis=1, keepdims=True)


folder = tempfile.mkdtemp()
data = make_actors(folder, people=2, train_sessions=1, validation_sessions=1)
tiny = {"size": 16, "cache_size": 24, "frames": 8, "validation.epochs": 2}  # seconds
for name in ("raw", "box-5", "box-13"):
    row = motionveil.evaluate(name, data, settings=tiny)
    print(f"{name}: action {row.action.accuracy:.2f}, identity {row.privacy.clip.accuracy:.2f}")
motionveil.encode_video(data.root / data.clips[0].path, f"{folder}/out.mkv", encoder="box-5")
