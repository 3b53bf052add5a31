"""Five ordinary events of a camera on a still scene, before and after: one image.

The scene is the portrait that matplotlib brings along (public domain), filmed with sensor noise at
30 frames per second. Beside each other: the source, what revision 7889397 wrote of it (at the
source's own size, its guard on), and what is written now (at the encoder's geometry, guard on), the
frame of each event in which the earlier revision showed most.

    python benchmarks/guard_portrait.py FILE.png

Needs `pip install '.[train]'` and the repository's history.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import matplotlib.cbook
import matplotlib.image
import numpy as np

from camera_film import Frames
from guard_before import Before
from guard_picture import Example, write_picture
from motionveil.spec import load_spec
from motionveil.streaming import Guard, StreamEncoder
from motionveil.streaming.geometry import area_average

REVISION = "7889397"
RATE, STILL = 30, 20  # frames per second; still frames before an event
Event = Callable[[np.ndarray, int], np.ndarray]
"""From the scene, float (H, W, 3), and the frame's number in the event, to the frame."""


def scene(height: int = 576, width: int = 768) -> np.ndarray:
    """Return the scene, float (H, W, 3), in [0, 255]."""
    with matplotlib.cbook.get_sample_data("grace_hopper.jpg") as file:
        photo = np.array(matplotlib.image.imread(file, format="jpg"))
    return area_average(photo[40:425, :512].copy(), (height, width)).astype(np.float32)


def lamp(picture: np.ndarray, number: int) -> np.ndarray:
    """A lamp goes on over the face, over three frames."""
    y, x = np.mgrid[: picture.shape[0], : picture.shape[1]]
    cone = np.clip(1.6 - np.hypot(x - 400, y - 200) / 180, 0, 1)[..., None]
    return picture * (0.7 + 0.3 * min(number + 1, 3) * cone / 1.5)


def white_balance(picture: np.ndarray, number: int) -> np.ndarray:
    """The camera corrects the colours at once: red up, blue down."""
    return picture * np.array([1.12, 1.0, 0.88], np.float32)


def exposure_with_bars(picture: np.ndarray, number: int) -> np.ndarray:
    """The exposure rises over two frames, and most of the image is black bars."""
    return _bars(picture * (1.2, 1.45)[min(number, 1)])


def disturbance(picture: np.ndarray, number: int) -> np.ndarray:
    """A part of one frame is grey, and then whole again."""
    disturbed = picture.copy()
    if number == 0:
        disturbed[80:420, 160:640] = 128
    return disturbed


def bump(picture: np.ndarray, number: int) -> np.ndarray:
    """Somebody knocks against the camera: six pixels, and back."""
    return np.roll(picture, 6 if number == 0 else 0, axis=1)


def _bars(picture: np.ndarray) -> np.ndarray:
    barred = picture.copy()
    barred[:, :270] = barred[:, -260:] = 0
    return barred


EVENTS: dict[str, tuple[Event, bool]] = {
    "lamp": (lamp, False),
    "white balance": (white_balance, False),
    "exposure between black bars": (exposure_with_bars, True),
    "disturbance of one frame": (disturbance, False),
    "bump": (bump, False),
}
"""Each event, and whether there are bars before it."""


def film(event: Event, bars: bool) -> Frames:
    """Return uint8 (T, H, W, 3): the still scene, then six frames of the event."""
    rng = np.random.default_rng(0)
    plain = scene()
    still = _bars(plain) if bars else event(plain, -1) if event is lamp else plain
    clip = [still] * STILL + [event(plain, number) for number in range(6)]
    noisy = [image + rng.normal(0, 1.0, image.shape) for image in clip]
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


def now(frames: Frames) -> list[Frames]:
    """Return what is written now of every frame; of one left out by rate, the one before."""
    encoder = StreamEncoder(load_spec("bdq"), guard=Guard())
    written: list[Frames] = []
    for number, frame in enumerate(frames):
        veiled = encoder(frame, time=number / RATE)
        written.append(written[-1] if veiled is None else veiled)
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description="Draw five events before and after.")
    parser.add_argument("file", metavar="FILE")
    arguments = parser.parse_args()
    before = Before(REVISION)
    examples = []
    for name, (event, bars) in EVENTS.items():
        frames = film(event, bars)
        veiled, neutral = before(frames, RATE, "bdq", False)
        shown = [float((np.abs(image.astype(int) - neutral) > 17).mean()) for image in veiled]
        worst = int(np.argmax(shown[1:])) + 1
        after = now(frames)
        left = max(float((np.abs(image.astype(int) - neutral) > 17).mean()) for image in after)
        print(f"{name}: off neutral, before {100 * shown[worst]:.1f} %, now {100 * left:.1f} %")
        examples.append(Example(name, 0.0, frames[worst], veiled[worst], after[worst]))
    before.close()
    write_picture(arguments.file, examples)


if __name__ == "__main__":
    main()
