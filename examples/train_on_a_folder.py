"""Train on FOLDER/<action>/<person>/*.mp4: train_on_a_folder.py [FOLDER]; without, on drawings."""

import sys
import tempfile
from pathlib import Path

import numpy as np

import motionveil
from motionveil.video import VideoSink

# For seconds, which shows that it runs and no more.
TINY = {"size": 16, "cache_size": 24, "frames": 8, "adversarial.epochs": 9, "validation.epochs": 9}


def draw_videos(folder: Path) -> None:
    """Draw people as squares, each of a shade of their own, who go left or right."""
    for action, way in (("left", -1), ("right", 1)):
        for number, shade in enumerate((120, 240)):
            place = folder / action / f"person{number}"
            place.mkdir(parents=True)
            for take in range(4):
                with VideoSink(place / f"take{take}.mkv", rate=15) as sink:
                    for t in range(12):
                        frame = np.full((48, 48, 3), 10 * take, np.uint8)
                        frame[16:32, 16 + way * t : 32 + way * t] = shade
                        sink.write(frame)


work = Path(tempfile.mkdtemp())
folder, settings = (Path(sys.argv[1]), {}) if len(sys.argv) > 1 else (work / "videos", TINY)
if len(sys.argv) == 1:
    draw_videos(folder)
run = motionveil.train(folder, out=work / "run", settings=settings)
row = motionveil.evaluate(run.folder, folder, recipe=run.folder / "recipe.yaml")
print(f"action {row.action.accuracy:.2f}, person by clip {row.privacy.clip.accuracy:.2f}")
motionveil.encode_video(next(folder.glob("*/*/*")), work / "veiled.mkv", encoder=run.folder)
