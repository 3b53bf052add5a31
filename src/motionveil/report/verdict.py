"""What the numbers say, in sentences; every claim is held against the 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from motionveil.report.pooling import BDQ, RAW, UNTRAINED, Method
from motionveil.results import Accuracy

SPACE = "\N{NO-BREAK SPACE}"

CAVEAT = (
    "These are the answers of the networks trained here. A stronger attacker, with more data,"
    " larger networks or other clues, may learn more: nothing here shows that an encoder is safe."
)


class Bounded(Protocol):
    """What has a 95 % interval."""

    @property
    def interval(self) -> tuple[float, float]:
        """Its ends."""


def percent(share: float, digits: int = 0) -> str:
    """Return a share in [0, 1] as `31 %` with a space that does not break."""
    return f"{100 * share:.{digits}f}{SPACE}%"


def with_interval(accuracy: Accuracy) -> str:
    """Return `31 % (25 to 38)`."""
    return between(accuracy.accuracy, accuracy.interval)


def between(share: float, interval: tuple[float, float]) -> str:
    """Return a share in [0, 1] and its interval as `31 % (25 to 38)`."""
    low, high = interval
    return f"{percent(share)} ({100 * low:.0f} to {100 * high:.0f})"


def compare(a: Bounded, b: Bounded) -> int:
    """Return -1 where a is below b by more than their intervals, 1 above, 0 where they overlap."""
    if a.interval[1] < b.interval[0]:
        return -1
    return 1 if a.interval[0] > b.interval[1] else 0


def find(methods: Sequence[Method], name: str, alpha: float | None = None) -> Method | None:
    """Return the method of this name and alpha, if it was measured."""
    return next((m for m in methods if m.method == name and m.alpha == alpha), None)


def judged(methods: Sequence[Method]) -> Method | None:
    """Return the encoder that the headline is about: the trained BDQ of the largest alpha.

    The rule does not look at the accuracies, so it cannot pick the luckiest row. Where no BDQ was
    trained it is the last encoder measured; None where there is raw video only.
    """
    trained = [m for m in methods if m.method == BDQ and m.alpha is not None]
    others = [m for m in methods if m.method != RAW]
    if trained:
        return max(trained, key=lambda m: m.alpha or 0.0)
    return others[-1] if others else None


def headline(methods: Sequence[Method], privacy_label: str) -> str:
    """Return the verdict in one sentence, with intervals.

    Args:
        methods: At least one method.
        privacy_label: What the adversary looks for, such as `identity`.
    """
    raw, veiled = find(methods, RAW), judged(methods)
    shown = veiled or methods[0]
    where = f"clips veiled by {shown.label}" if veiled else "clips of raw video"
    floor = f"guessing the commonest {privacy_label}: {percent(shown.frame.chance_level)}"
    action, privacy = "", floor
    if veiled and raw:
        action = f" (raw video: {percent(raw.action.accuracy)})"
        privacy = f"raw video: {percent(raw.frame.accuracy)}; {floor}"
    return (
        f"Freshly trained networks recognise the action in {with_interval(shown.action)} of the"
        f" {where}{action}, and the {privacy_label} in {with_interval(shown.frame)} of their"
        f" frames ({privacy})."
    )


def findings(
    methods: Sequence[Method], privacy_label: str, standing: Sequence[str] = ()
) -> list[str]:
    """Return what follows from the numbers, a sentence or two each; the caveat comes last.

    Args:
        methods: At least one method.
        privacy_label: What the adversary looks for.
        standing: How the families stand to each other, where there are several.
    """
    raw, veiled = find(methods, RAW), judged(methods)
    plain = find(methods, BDQ, 0.0)
    untrained = find(methods, UNTRAINED)
    sentences = []
    if raw and veiled:
        sentences.append(_price(veiled, raw, privacy_label))
    if plain:
        sentences += [_game(m, plain, privacy_label) for m in methods if _is_rival(m)]
    if veiled:
        sentences.append(_rest(veiled, privacy_label))
    else:
        sentences.append("No encoder was measured, so this says nothing about veiled video.")
    if untrained:
        sentences.append(_untrained(untrained, raw, privacy_label))
    return [*sentences, *standing, CAVEAT]


def _is_rival(method: Method) -> bool:
    return method.method == BDQ and method.adversarial


def _price(veiled: Method, raw: Method, privacy_label: str) -> str:
    """What veiling costs in action and takes away in privacy, against raw video."""
    return (
        f"Under {veiled.label} the action accuracy is {_beside(veiled.action, raw.action)}; the"
        f" {privacy_label} accuracy by frame is {_beside(veiled.frame, raw.frame)}."
    )


def beside_raw(veiled: Bounded, raw: Bounded) -> str:
    """Return how a figure of veiled video stands to raw video's."""
    return {
        -1: "lower than raw video's by more than the intervals",
        0: "not different from raw video's beyond the intervals",
        1: "higher than raw video's by more than the intervals",
    }[compare(veiled, raw)]


def _beside(veiled: Accuracy, raw: Accuracy) -> str:
    ratio = f" ({veiled.accuracy / raw.accuracy:.2f} of it)" if raw.accuracy > 0 else ""
    return beside_raw(veiled, raw) + ratio


def _game(adversarial: Method, plain: Method, privacy_label: str) -> str:
    """Whether training against the adversary did anything that training without did not."""
    a, b = adversarial.frame, plain.frame
    figures = f"{with_interval(a)} of the frames against {with_interval(b)}"
    start = f"{adversarial.label} against α = 0, the {privacy_label}: {figures}."
    outcome = compare(a, b)
    if outcome < 0:
        return f"{start} Training against the adversary lowered it by more than the intervals."
    if outcome > 0:
        return f"{start} Training against the adversary raised it by more than the intervals."
    return f"{start} The intervals overlap: these clips do not show that the adversary helped."


def _rest(veiled: Method, privacy_label: str) -> str:
    """What is left of the privacy label under the encoder, against guessing."""
    low, high = veiled.frame.interval
    floor = veiled.frame.chance_level
    if low > floor:
        return (
            f"Under {veiled.label} the {privacy_label} is still recognised more often than by"
            f" guessing the commonest: the interval begins at {percent(low)}, guessing gives"
            f" {percent(floor)}. Something of it shows through."
        )
    where = "lies below" if high < floor else "includes"
    return (
        f"Under {veiled.label} the interval of the {privacy_label} accuracy by frame {where} what"
        f" guessing the commonest gives ({percent(floor)}). That this network found nothing is no"
        " proof that nothing is there."
    )


def _untrained(untrained: Method, raw: Method | None, privacy_label: str) -> str:
    """What the encoder gives before training, when its quantiser is almost the identity."""
    beside = f", raw video {percent(raw.frame.accuracy)}" if raw else ""
    return (
        f"Before training, BDQ shows the {privacy_label} in {with_interval(untrained.frame)} of"
        f" the frames{beside}. Its quantiser then passes values almost unchanged: an untrained"
        " encoder is not protection."
    )
