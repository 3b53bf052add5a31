"""A network that sees the course of coarse video over time."""

from __future__ import annotations

from torch import Tensor, nn

from motionveil.networks.preprocessing import check_clips

_WIDTH = 96

COURSE_FEATURES = 8 * _WIDTH
"""Features of a course."""


class Small1D(nn.Module):
    """What 64 parts of the frame do over time: three 1D convolutions and a linear head.

    Where video is coarse, most of what it says is in its course over time; of that this network
    learns more, and sooner, than one that looks for shapes.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.features = course_features(3 * 64)
        self.head = nn.Linear(COURSE_FEATURES, classes)

    def forward(self, clips: Tensor) -> Tensor:
        """Map `(B, 3, T, H, W)` in [-1, 1], T >= 2 and H, W >= 16, to logits `(B, classes)`."""
        check_clips(clips, frames=2, pixels=16)
        parts = nn.functional.adaptive_avg_pool3d(clips, (clips.shape[2], 8, 8))
        logits: Tensor = self.head(self.features(parts.movedim(2, -1).flatten(1, 3)))
        return logits


def course_features(numbers: int) -> nn.Sequential:
    """Return what maps the course of so many numbers, `(B, numbers, T)`, to its features."""
    return nn.Sequential(
        _unit1d(numbers, _WIDTH, 5),
        _unit1d(_WIDTH, _WIDTH, 3),
        nn.MaxPool1d(2, ceil_mode=True),
        _unit1d(_WIDTH, 2 * _WIDTH, 3),
        nn.AdaptiveAvgPool1d(4),
        nn.Flatten(),
        nn.Dropout(0.2),
    )


def _unit1d(inputs: int, outputs: int, taps: int) -> nn.Sequential:
    convolution = nn.Conv1d(inputs, outputs, taps, padding=taps // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(outputs), nn.ReLU(inplace=True))
