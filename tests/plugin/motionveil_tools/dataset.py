"""A data set: one folder with the videos `action-person-take.mkv`; take 0 is held out."""

from pathlib import Path

from motionveil.datasets.loaders import count_or_raise, register
from motionveil.datasets.manifest import Clip, Manifest


@register("flat", "a folder of videos ACTION-PERSON-TAKE.mkv; take 0 is for validation")
def index(root):
    """Index the folder, one clip per video."""
    counts = count_or_raise(Path(root), sorted(path.name for path in Path(root).glob("*.mkv")))
    clips = []
    for name, frames in counts.items():
        action, person, take = Path(name).stem.split("-")
        split = "validation" if take == "0" else "train"
        clips.append(Clip(name, 0, frames, action, {"person": person}, name, split))
    return Manifest("flat", Path(root), tuple(clips), split_rule="take 0 is held out")
