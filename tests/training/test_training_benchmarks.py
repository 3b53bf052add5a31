"""The benchmarks of the training, on toys: what they measure is what they say."""

from __future__ import annotations

import pytest
import torch

from benchmark_code import import_benchmark
from motionveil.training.experiment import Experiment

adversarial_step = import_benchmark("adversarial_step")
gpu = import_benchmark("gpu")


def test_the_adversarial_step_compares_the_same_mathematics(
    experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    figures = adversarial_step.measure(experiment.clips(training=True), experiment.recipe, runs=1)
    assert figures["shape"] == [6, 3, 6, 16, 16]
    seconds = {row["method"]: row["seconds"] for row in figures["rows"]}
    assert min(seconds.values()) > 0
    whole = figures["times_as_fast"]["as released"]
    assert whole == pytest.approx(seconds["released"] / seconds["motionveil"])
    assert figures["largest_difference"] == 0
    assert 1.1 < figures["arithmetic"] < 1.5
    assert set(figures["shares"]) == {"E", "T", "P"}
    adversarial_step.print_figures(figures)
    assert "differ by at most 0\n" in capsys.readouterr().out


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU, which it would measure")
def test_without_a_gpu_its_benchmark_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["gpu.py"])
    gpu.main()
    assert capsys.readouterr().out == "there is no CUDA GPU here: nothing was measured\n"


def test_the_parts_of_the_gpu_benchmark_on_a_processor(
    experiment: Experiment, capsys: pytest.CaptureFixture[str]
) -> None:
    cpu = torch.device("cpu")
    clips = experiment.clips(training=True)
    figures = {
        "device": "cpu",
        "torch": torch.__version__,
        "equality": gpu.measure_equality(clips, "cpu"),
        "encoder": gpu.measure_encoder(cpu, runs=1, shape=(1, 3, 3, 16, 16), copied=1 << 16),
        "training": [
            gpu.measure_training(clips, experiment.recipe, "cpu", "32-true", steps=3),
        ],
    }
    encoder, (training,) = figures["encoder"], figures["training"]
    methods = [row["method"] for row in encoder["rows"]]
    assert methods == ["plain", "compiled", "flow", "moments"]
    assert "seconds" not in encoder["rows"].pop(), "moments have nothing to train"
    for row in encoder["rows"]:
        # Of 2 or 4 frames of 3 x 16 x 16 that are read or written, at 4 bytes.
        share = 4 * 5 * 768 / encoder["copy_bytes_a_second"] / row["forward_seconds"]
        assert row["forward_of_roofline"] == pytest.approx(share)
        assert row["seconds"] > row["forward_seconds"] > 0
    assert 0 < training["busy"] < 1
    assert training["steps_a_second"] > 0
    gpu.print_figures(figures)
    shown = capsys.readouterr().out
    assert "32-true" in shown
    assert "flow: levels differ from the CPU's by 0, 0 of them" in shown
    equality = figures["equality"]["training"]
    assert equality["largest_difference"] == 0 < equality["moved"]


def test_waiting_for_the_loader_is_not_busy(
    experiment: Experiment, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = experiment.clips(training=True)
    load = type(data).load

    def slowly(*arguments, **options):
        gpu.time.sleep(0.2)
        return load(*arguments, **options)

    monkeypatch.setattr(type(data), "load", slowly)
    monkeypatch.setattr(gpu, "WARM_UP", 2)
    measured = gpu.measure_training(data, experiment.recipe, "cpu", "32-true", steps=3)
    assert measured["busy"] < 0.8
