"""What light and cameras do to an image, made from real video: the families of `guard.py`.

A film is a stretch of real video, or one frame of it held still under sensor noise. An event
changes it from a frame on. Strength, length, place, size of the picture and rate are drawn from a
seed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from camera_film import (
    LIGHT,
    Film,
    Image,
    blurred,
    each,
    either_way,
    moved,
    pool,
    pulse,
    rise,
)

HEIGHTS = (120, 144, 240, 288, 360, 384, 480, 576, 720, 768, 1080)
RATES = (10.0, 12.5, 15.0, 20.0, 25.0, 30.0, 50.0, 60.0)

Event = Callable[[Film], None]


def lamp_whole(film: Film) -> None:
    gain, length = either_way(film.rng, 1.15, 2.2), int(film.rng.integers(1, 11))
    film.change(lambda image, part: image * (1 + (gain - 1) * part), rise(length))


def lamp_local(film: Film) -> None:
    spot, length = pool(film, 0.04, 0.5), int(film.rng.integers(1, 11))
    gain = either_way(film.rng, 1.3, 3.0)
    film.change(lambda image, part: image * (1 + (gain - 1) * part * spot), rise(length))


def lamp_night(film: Film) -> None:
    night, length = film.rng.uniform(0.03, 0.2), int(film.rng.integers(1, 11))
    spot = pool(film, 0.05, 0.6) if film.rng.random() < 0.5 else np.ones((1, 1, 1), np.float32)
    film.images = each(film.images, lambda image: image * np.float32(night))
    up = film.rng.uniform(0.4, 1) / night
    film.change(lambda image, part: image * (1 + (up - 1) * part * spot), rise(length))


def exposure_step(film: Film) -> None:
    gain = either_way(film.rng, 1.03, 1.8)
    film.change(lambda image, part: image * gain, rise(1))


def exposure_ramp(film: Film) -> None:
    gain = either_way(film.rng, 1.2, 3.0)
    length = max(1, int(film.rng.uniform(0.15, 2) * film.rate))
    film.change(lambda image, part: image * gain**part, rise(length))


def exposure_hunting(film: Film) -> None:
    depth, hertz = film.rng.uniform(0.1, 0.6), film.rng.uniform(0.5, 4)
    fade = film.rng.uniform(0, 1.5)

    def strength(n: int) -> float:
        time = (n + 1) / film.rate
        return float(depth * np.sin(2 * np.pi * hertz * time) * np.exp(-fade * time))

    film.change(lambda image, part: image * np.exp(np.float32(part)), strength)


def white_balance(film: Film) -> None:
    red, blue = film.rng.uniform(1.1, 1.6), film.rng.uniform(1.1, 1.6)
    gains = np.array([red, 1, 1 / blue], np.float32)
    if film.rng.random() < 0.5:
        gains = 1 / gains
    gains /= gains @ LIGHT
    length = int(film.rng.integers(1, 13))
    film.change(lambda image, part: image * gains**part, rise(length))


def infrared_cut(film: Film) -> None:
    warm = film.rng.uniform(0.8, 1.3, 3).astype(np.float32)
    tint = warm if film.rng.random() < 0.5 else np.ones(3, np.float32)
    gain, length = film.rng.uniform(0.8, 1.6), int(film.rng.integers(1, 4))

    def mono(image: Image) -> Image:
        mix = film_mix / film_mix.sum()
        return (image @ mix)[..., None] * tint * gain

    film_mix = film.rng.uniform(0.2, 1, 3).astype(np.float32)
    there = film.rng.random() < 0.5
    if there:  # mono first, colour then
        for number in range(film.onset):
            film.images[number] = mono(film.images[number])
        film.change(lambda image, part: mono(image) * part + image * (1 - part), _falling(length))
    else:
        film.change(lambda image, part: mono(image) * part + image * (1 - part), rise(length))


def _falling(length: int) -> Callable[[int], float]:
    return lambda n: max(0.0, 1 - (n + 1) / length)


def tone_curve(film: Film) -> None:
    power, length = either_way(film.rng, 1.2, 2.2), int(film.rng.integers(1, 6))
    film.change(
        lambda image, part: 255 * (np.clip(image, 0, 255) / 255) ** (1 + (power - 1) * part),
        rise(length),
    )


def wide_range(film: Film) -> None:
    """Brighten what is dark and darken what is bright, by its surroundings (WDR)."""
    radius, length = 0.06 * min(film.size), int(film.rng.integers(1, 6))
    depth = film.rng.uniform(0.3, 0.8)

    def even(image: Image, part: float) -> Image:
        around = blurred(image @ LIGHT[:, None], radius)
        return image * ((around + 16) / 110) ** np.float32(-depth * part)

    film.change(even, rise(length))


def sharpening(film: Film) -> None:
    amount, radius = film.rng.uniform(0.5, 3), film.rng.uniform(0.003, 0.03) * min(film.size)
    film.change(
        lambda image, part: image + amount * part * (image - blurred(image, radius)),
        rise(int(film.rng.integers(1, 4))),
    )


def focus(film: Film) -> None:
    most = film.rng.uniform(0.01, 0.06) * min(film.size)
    length = int(film.rng.integers(1, 8))
    film.change(lambda image, part: blurred(image, most * part), rise(length))


def focus_hunting(film: Film) -> None:
    most, hertz = film.rng.uniform(0.01, 0.06) * min(film.size), film.rng.uniform(0.5, 3)
    film.change(
        lambda image, part: blurred(image, most * part),
        lambda n: float(np.sin(np.pi * hertz * (n + 1) / film.rate) ** 2),
    )


def zooming(film: Film) -> None:
    zoom, length = film.rng.uniform(1.05, 1.6), int(film.rng.integers(1, film.rate * 1.5 + 2))
    film.change(lambda image, part: moved(image, 0, 0, zoom**part), rise(length))


def bump(film: Film) -> None:
    down, right = film.rng.uniform(-16, 16, 2)
    back = film.rng.random() < 0.5
    length = int(film.rng.integers(1, 6))
    film.change(
        lambda image, part: moved(image, down, right),
        pulse(length) if back else rise(1),
    )


def panning(film: Film) -> None:
    # All of a larger image is seen in passing.
    share = film.rng.uniform(0.05, 0.8) * film.size[1] / film.rate
    sign = film.rng.choice([-1, 1])
    film.images = each(film.images, lambda image: moved(image, 0, 0, 1.5))
    film.plain = list(film.images)
    limit = film.size[1] * 0.6
    film.change(
        lambda image, n: moved(image, 0, sign * min(n * share, limit)), lambda n: float(n + 1)
    )


def vibration(film: Film) -> None:
    hertz, depth = film.rng.uniform(2, 12), film.rng.uniform(0.002, 0.03) * film.size[0]

    def shake(image: Image, n: float) -> Image:
        angle = 2 * np.pi * hertz * n / film.rate
        return moved(image, depth * np.sin(angle), depth * np.sin(1.3 * angle))

    film.change(shake, lambda n: float(n + 1))


def mains_banding(film: Film) -> None:
    depth, bands = film.rng.uniform(0.05, 0.4), film.rng.uniform(0.3, 3)
    drift, height = film.rng.uniform(0.05, 0.95), film.size[0]
    rows = np.arange(height, dtype=np.float32)[:, None, None] / height

    def light(image: Image, n: float) -> Image:
        wave = np.sin(2 * np.pi * (bands * rows + drift * n))
        return image * (1 + np.float32(depth) * wave.astype(np.float32))

    film.change(light, lambda n: float(n + 1))


def interlaced(film: Film) -> None:
    """Show the fields of one moment in two frames: of a step of light, of a bump, of a cut."""
    kind = film.rng.choice(["light", "bump", "cut", "lost"])
    gain, shift = either_way(film.rng, 1.2, 2), film.rng.uniform(-0.04, 0.04, 2) * film.size[1]

    def make(image: Image) -> Image:
        if kind == "light":
            return image * np.float32(gain)
        if kind == "bump":
            return moved(image, *shift)
        return film.other if kind == "cut" else image[np.arange(len(image)) // 2 * 2]

    first = film.rng.integers(2)
    for n, image in list(film.after()):
        made = make(image)
        if n == 0:
            image = image.copy()
            image[first::2] = made[first::2]
            made = image
        film.images[film.onset + n] = made
        if kind == "lost" and n:
            film.images[film.onset + n] = image


def dissolve(film: Film) -> None:
    length = int(film.rng.integers(2, 2.0 * film.rate + 3))
    film.change(lambda image, part: image * (1 - part) + film.other * part, rise(length))


def cut(film: Film) -> None:
    film.change(lambda image, part: film.other, rise(1))


def disturbance(film: Film) -> None:
    """Spoil a part of one frame or two, as a damaged stream does."""
    rng, (height, width) = film.rng, film.size
    share = rng.uniform(0.03, 0.6)
    tall = min(1.0, max(share, rng.uniform(0.1, 1)))
    rows, columns = int(tall * height), int(min(1, share / tall) * width)
    top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
    part = (slice(top, top + rows), slice(left, left + columns))
    kind = rng.choice(["grey", "green", "black", "other", "shifted", "smeared", "noise", "squares"])

    def spoil(image: Image, _: float) -> Image:
        image = image.copy()
        inside = image[part]
        if kind in ("grey", "green", "black"):
            inside[:] = {"grey": (128, 128, 128), "green": (0, 135, 0), "black": (0, 0, 0)}[kind]
        elif kind == "other":
            inside[:] = film.other[part]
        elif kind == "shifted":
            inside[:] = np.roll(image, width // 5, axis=1)[part]
        elif kind == "smeared":
            inside[:] = inside[:1]
        elif kind == "noise":
            inside[:] = film.rng.integers(0, 256, inside.shape)
        else:
            step = max(2, height // 15)
            grid = film.rng.integers(0, 256, (*(-(-n // step) for n in inside.shape[:2]), 3))
            inside[:] = np.repeat(np.repeat(grid, step, 0), step, 1)[:rows, :columns]
        return image

    film.change(spoil, pulse(int(rng.integers(1, 3))))


def _inside(film: Film, mask: Image) -> None:
    film.images = each(film.images, lambda image: image * mask)
    film.rng.choice([exposure_step, exposure_ramp, lamp_whole, white_balance, cut])(film)
    film.images = each(film.images, lambda image: image * mask)


def black_bars(film: Film) -> None:
    mask = np.zeros((*film.size, 1), np.float32)
    share, axis = film.rng.uniform(0.2, 0.65), int(film.rng.integers(2))
    margin = int(share / 2 * film.size[axis])
    inside = slice(margin, film.size[axis] - margin)
    mask[(inside, slice(None)) if axis == 0 else (slice(None), inside)] = 1
    _inside(film, mask)


def fisheye(film: Film) -> None:
    height, width = film.size
    y, x = np.arange(height) - height / 2, np.arange(width) - width / 2
    radius = film.rng.uniform(0.35, 0.5) * min(height, width)
    mask = (np.hypot(y[:, None], x[None, :]) < radius).astype(np.float32)[..., None]
    _inside(film, mask)


def keyframe_pumping(film: Film) -> None:
    """Lose sharpness and brightness from one key frame to the next, and jump back."""
    every = int(film.rng.integers(4, 25))
    radius, gain = film.rng.uniform(0, 0.02) * min(film.size), film.rng.uniform(-0.15, 0.15)

    def pump(image: Image, part: float) -> Image:
        return blurred(image, radius * part) * np.float32(1 + gain * part)

    film.change(pump, lambda n: (n % every) / every)


def stretch(film: Film) -> None:
    """Freeze, repeat or lose a stretch; the clock does not tell."""
    length = max(2, int(film.rng.uniform(0.2, 1.5) * film.rate))
    kind, start, images = film.rng.choice(["frozen", "repeated", "lost"]), film.onset, film.images
    if kind == "frozen":
        images[start : start + length] = [images[start]] * len(images[start : start + length])
    elif kind == "repeated":
        again = images[max(0, start - length) : start]
        images[start:] = (again + images[start:])[: len(images) - start]
    else:
        del images[start : start + min(length, len(images) - start - 3)]


STILL_CAMERA: dict[str, Event] = {
    "lamp, whole picture": lamp_whole,
    "lamp, a part": lamp_local,
    "lamp at night": lamp_night,
    "exposure, step": exposure_step,
    "exposure, ramp": exposure_ramp,
    "exposure, hunting": exposure_hunting,
    "white balance": white_balance,
    "infrared cut, mono": infrared_cut,
    "tone curve": tone_curve,
    "wide dynamic range": wide_range,
    "sharpening": sharpening,
    "mains banding": mains_banding,
    "interlaced fields": interlaced,
    "dissolve": dissolve,
    "cut": cut,
    "stretch frozen, repeated, lost": stretch,
    "disturbance of a frame": disturbance,
    "black bars": black_bars,
    "fisheye": fisheye,
    "key-frame pumping": keyframe_pumping,
}
MOVING_CAMERA: dict[str, Event] = {
    "focus": focus,
    "focus, hunting": focus_hunting,
    "zoom": zooming,
    "bump": bump,
    "pan": panning,
    "vibration": vibration,
}
FAMILIES = STILL_CAMERA | MOVING_CAMERA
