"""The benchmark of the loader compares clips that are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmark_code import import_benchmark

loader = import_benchmark("loader")


@pytest.fixture
def sources(tmp_path: Path):
    return loader.Sources(tmp_path, loader.film_clips(120, 160, clips=2))


def test_all_methods_give_the_same_frames_and_squares(sources) -> None:
    for epoch in range(2):
        cache, png, video = (
            load(epoch) for load in (sources.from_cache, sources.from_png, sources.from_video)
        )
        assert cache.shape == png.shape == video.shape == (2, 3, 16, 224, 224)
        # They differ by rounding and by being resized once or twice; H.264 loses some colour.
        assert (png - cache).abs().mean() < 2 / 255
        assert (video - cache).abs().mean() < 6 / 255
        another = sources.from_png(epoch + 1)
        assert (another - cache).abs().mean() > 8 / 255, "every epoch draws other squares"


def test_its_figures(sources, capsys: pytest.CaptureFixture[str]) -> None:
    figures = loader.measure(sources, runs=1)
    assert (figures["width"], figures["height"], figures["clips"]) == (160, 120, 2)
    assert [row["method"] for row in figures["rows"]] == ["cache", "png", "pyav"]
    assert figures["rows"][0]["cache_is_times_as_fast"] == 1
    loader.print_figures(figures)
    assert "160 x 120" in capsys.readouterr().out
