"""The trade-off by itself: a picture to print, and a page whose points can be asked."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from motionveil.errors import MotionveilError
from motionveil.files import atomic_path, write_text_atomically
from motionveil.report import ranking
from motionveil.report.figures import contested, house_style, to_png, to_svg
from motionveil.report.frontier import contest
from motionveil.report.media import picture_uri
from motionveil.report.plot import HEIGHT, WIDTH, lay_out
from motionveil.report.pooling import Method, Run, by_labels, check, pool
from motionveil.report.printed import printed_for, rows_of
from motionveil.report.rendering import render, steps
from motionveil.report.tradeoff_figure import tradeoff


def write_tradeoff(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write `tradeoff.html`, `tradeoff.png` and `tradeoff.svg` into a folder.

    The page needs nothing else: it loads nothing from the network and runs no script. Each point
    names itself and shows its veiled frames when it is pointed at, tapped, or reached by the
    keyboard. Equal results give equal bytes.

    Args:
        runs: At least one, all on the same data set and labels; rows of a method are pooled.
        folder: Where the files go.

    Returns:
        The paths of the page, the PNG and the SVG.

    Raises:
        MotionveilError: A result holds no rows or contradicts itself, the runs are on different
            data, a row's picture is no plain picture beside its `results.json`, or a file cannot
            be written.

    Example:
        >>> run = Run(Result.read("runs/tradeoff"), Path("runs/tradeoff"))  # doctest: +SKIP
        >>> write_tradeoff([run], run.folder)  # doctest: +SKIP
    """
    for run in runs:
        check(run)
    groups = by_labels(runs)
    if len(groups) != 1:
        names = ", ".join(group[0].result.dataset.name for group in groups)
        raise MotionveilError(
            f"{folder}: runs on {names or 'no data'}: a trade-off is drawn of runs on one data set"
            " with the same labels"
        )
    methods = pool([run.result for run in runs])
    data = runs[0].result.dataset
    printed = printed_for(data)
    page = _page(methods, runs)
    figure = tradeoff(methods, data.privacy_label, rows_of(printed))
    return [
        write_text_atomically(folder / "tradeoff.html", page),
        _write(folder / "tradeoff.png", to_png(figure)),
        _write(folder / "tradeoff.svg", to_svg(figure)),
    ]


def _page(methods: Sequence[Method], runs: Sequence[Run]) -> str:
    data = runs[0].result.dataset
    printed = printed_for(data)
    compared = contest(methods)
    several = contested(methods)
    sentences = [
        *([ranking.front_sentence(compared, data.privacy_label)] if several else []),
        *ranking.family_sentences(compared),
        *(ranking.point_sentences(compared) if several else []),
    ]
    with house_style():
        plot = lay_out(methods, rows_of(printed))
    return render(
        "tradeoff.html",
        data=data,
        label=data.privacy_label,
        width=WIDTH,
        height=HEIGHT,
        plot=plot,
        lines=ranking.point_lines(compared),
        pictures=_pictures(methods, runs),
        sentences=sentences,
        contest={
            "areas": ranking.area_lines(compared),
            "draws": compared.draws,
            "obstacle": compared.obstacle,
        },
        several=several,
        pooled=any(len(m.rows) > 1 for m in methods),
        clips=max(m.action.n for m in methods),
        steps=steps(methods),
        printed=printed,
    )


def _pictures(methods: Sequence[Method], runs: Sequence[Run]) -> list[str | None]:
    """Return for each method the first picture that one of its rows has, None without one."""
    folders = {id(row): run.folder for run in runs for row in run.result.rows}
    found: list[str | None] = []
    for method in methods:
        uris = (
            picture_uri(r.picture, folders[id(r)]) for r in method.rows if r.picture is not None
        )
        found.append(next((uri for uri in uris if uri is not None), None))
    return found


def _write(path: Path, content: bytes) -> Path:
    with atomic_path(path) as part:
        part.write_bytes(content)
    return path
