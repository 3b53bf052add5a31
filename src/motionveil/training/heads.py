"""What a network's outputs mean: one of several classes, or several attributes, each or not.

The loss that it is trained with, the entropy that an encoder is trained to raise, its answers and
how many of them are right.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits, cross_entropy, logsigmoid

from motionveil.statistics import Floats, Integers


class Head(Protocol):
    """The two readings of outputs `(N, outputs)`; `N` are clips, or frames of them."""

    def loss(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the mean cross-entropy in nats, 0-dimensional."""

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return the mean entropy of the predictions in nats: E of the paper's equation 1."""

    def accuracy(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the share of right answers, 0-dimensional."""

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the probabilities of outputs `(..., outputs)`, of the same shape."""

    def right(self, answers: Floats, truth: Integers) -> Floats:
        """Return which answers are right, 1 or 0.

        Args:
            answers: Probabilities, (clips, inputs, outputs).
            truth: The clips' true classes.

        Returns:
            (clips, inputs), or (clips, inputs, attributes).
        """


class OneClass:
    """One of several classes: softmax and cross-entropy; truth `(N,)`."""

    def loss(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the mean cross-entropy."""
        return cross_entropy(outputs, truth)

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return the mean entropy, in [0, log(classes)]."""
        log_probability = outputs.log_softmax(1)
        return -(log_probability.exp() * log_probability).sum(1).mean()

    def accuracy(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the share of right answers."""
        return (outputs.argmax(1) == truth).float().mean()

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the softmax."""
        return outputs.softmax(-1)

    def right(self, answers: Floats, truth: Integers) -> Floats:
        """Return whether the likeliest class is the true one, (clips, inputs)."""
        return np.asarray(answers.argmax(2) == truth[:, None], np.float64)


class Attributes:
    """Several attributes, each there or not: sigmoid; truth `(N, attributes)`, 1 or 0.

    All figures are means over the attributes: the binary cross-entropy, and the entropy of each
    binary output (Wu et al., TPAMI 2020; Dave et al., CVPR 2022).
    """

    def loss(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the mean binary cross-entropy."""
        return binary_cross_entropy_with_logits(outputs, truth.to(outputs.dtype))

    def entropy(self, outputs: Tensor) -> Tensor:
        """Return the mean entropy, in [0, log 2]."""
        yes, no = logsigmoid(outputs), logsigmoid(-outputs)
        return -(yes.exp() * yes + no.exp() * no).mean()

    def accuracy(self, outputs: Tensor, truth: Tensor) -> Tensor:
        """Return the share of right answers over all attributes."""
        return ((outputs >= 0) == (truth > 0)).float().mean()

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the sigmoid."""
        return outputs.sigmoid()

    def right(self, answers: Floats, truth: Integers) -> Floats:
        """Return whether each attribute is answered right, (clips, inputs, attributes)."""
        return np.asarray((answers >= 0.5) == (truth[:, None] > 0), np.float64)


ONE_CLASS = OneClass()


def head_of(labels: Tensor) -> Head:
    """Return what outputs for labels mean: `(N,)` classes, or `(N, attributes)`."""
    return ONE_CLASS if labels.ndim == 1 else Attributes()


def per_input(labels: Tensor, seen: Tensor) -> Tensor:
    """Return clips' labels `(B, ...)` for each of their inputs `(B * n, ...)`."""
    return labels.repeat_interleave(len(seen) // len(labels), dim=0)
