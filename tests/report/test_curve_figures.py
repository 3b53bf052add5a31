import math

import numpy as np
import pytest
from report_examples import row

from motionveil.report.curve_figures import curve_panels


def test_curve_panels_hold_what_was_logged():
    trained = row("bdq", 2.0, epochs=6)
    panels = dict(curve_panels(trained, "identity", 8, "#0072B2"))
    assert len(panels) == 5
    accuracies = panels["Accuracy in training, %"].axes[0]
    np.testing.assert_allclose(
        accuracies.lines[0].get_ydata(), [100 * c["accuracy_action"] for c in trained.curves]
    )
    entropy = panels["Entropy of the adversary, nats"].axes[0]
    assert entropy.lines[1].get_ydata()[0] == pytest.approx(math.log(8))
    assert len(panels["Boundaries of the quantiser"].axes[0].lines) == 15


def test_further_adversaries_stand_beside_the_first():
    trained = row("bdq", 2.0, epochs=3)
    trained.curves = [{**c, "accuracy_privacy_2": 0.9, "entropy_2": 0.1} for c in trained.curves]
    axes = dict(curve_panels(trained, "identity", 8, "k"))["Accuracy in training, %"].axes[0]
    assert [line.get_label() for line in axes.lines][-1] == "identity, adversary 2"
    np.testing.assert_allclose(axes.lines[-1].get_ydata(), 90)
    assert len(axes.get_legend().get_texts()) == 3


def test_curve_panels_leave_out_what_was_not_logged():
    plain = row("bdq", 2.0, epochs=3)
    plain.curves = [{"epoch": e, "sigma": 1.0, "surprise": 3.0} for e in range(3)]
    assert [t for t, _ in curve_panels(plain, "identity", 8, "k")] == ["Blur σ, pixels"]
    plain.curves = []
    assert curve_panels(plain, "identity", 8, "k") == []
