"""Tables of trade-offs, ablations and validations, out of stored results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kept import read_json, read_result
from markdown_table import Kind, figure, markdown_table, percent
from motionveil.evaluation.plan_audit import AVERAGED, NAMES
from motionveil.evaluation.suites import FRAMES
from motionveil.methods.base import even_boundaries
from motionveil.report.aggregate import Method, pool
from motionveil.report.method_style import label
from motionveil.results import Accuracy, Result, Row
from motionveil.statistics import wilson_interval

NO_MOTION = 7.5
"""What BDQ maps a difference of 0 to, before it is quantised."""


def attackers_table(results: Sequence[Result]) -> str:
    """Return a table with a line for each method, a column for each attacker."""
    methods = _by_privacy(results)
    names = _attackers_of(methods)
    heads = ["encoder", "action", "strongest", *names, "strongest's training"]
    rows = [_attackers_row(method, names) for method in methods]
    bold = ", the strongest attacker in bold"
    return markdown_table(heads, rows, _about(results, methods, bold))


def summary_table(results: Sequence[Result], only: Sequence[str] = ()) -> str:
    """Return a table with action, the published network by frame and the strongest attacker."""
    methods = _by_privacy(results)
    kind = results[0].dataset.privacy_label
    heads = ["encoder", "action", f"{kind}, the paper's network by frame"]
    rows = []
    for method in methods:
        best = method.strongest
        if best is None or (only and _key(method.rows[0]) not in only):
            continue
        rows.append([method.label, *map(figure, (method.action, method.frame, best.accuracy))])
    action, privacy = (percent(a.chance_level) for a in (methods[0].action, methods[0].privacy))
    rows.append(["chance level", action, privacy, privacy])
    return markdown_table([*heads, f"{kind}, strongest attacker"], rows)


def strongest_table(results: Sequence[Result]) -> str:
    """Return a table with the action and the strongest attacker of each method in each seed."""
    seeds = ", ".join(map(str, _seeds(results)))
    rows = []
    for method in pool(results):
        actions, attackers = [], []
        for row in sorted(method.rows, key=lambda row: row.seed):
            actions.append(percent(row.action.accuracy))
            if row.strongest is not None:
                name, accuracy = row.strongest
                attackers.append(f"{percent(accuracy.accuracy)} ({name})")
        rows.append([method.label, ", ".join(actions), ", ".join(attackers)])
    return markdown_table(
        ["encoder", f"action of seed {seeds}", f"strongest attacker of seed {seeds}"], rows
    )


def tradeoff_table(results: Sequence[Result]) -> str:
    """Return a table with each method's action, both readings of the published network, the
    attackers if there were any, and of trained BDQs what they learned."""
    methods = pool(results)
    kind, names = results[0].dataset.privacy_label, _attackers_of(methods)
    heads = ["encoder", "action", f"{kind} by frame", f"{kind} by clip", *names]
    rows = []
    for method in methods:
        cells = [method.label, *map(figure, (method.action, method.frame, method.clip))]
        found = [method.attacker(name) for name in names]
        rows.append([*cells, *("" if one is None else figure(one.accuracy) for one in found)])
    learned = [[one for row in method.rows if (one := _learned(row))] for method in methods]
    if any(learned):
        heads += ["sigma", "step of no motion"]
        for cells, of_method in zip(rows, learned, strict=True):
            cells += ["; ".join(one[place] for one in of_method) for place in range(2)]
    return markdown_table(heads, rows, _about(results, methods))


def _learned(row: Row) -> tuple[str, str] | None:
    """Return sigma and the bounds of the step that no motion falls in, of a trained BDQ."""
    if row.alpha is None or row.encoder.method != "bdq":
        return None
    settings: Any = row.encoder.settings
    several = isinstance(settings.sigma, tuple | list)  # of each channel
    sigmas = settings.sigma if several else [settings.sigma]
    steps = settings.boundaries if several else [settings.boundaries]
    bounds = [_step_of(NO_MOTION, boundaries) for boundaries in steps]
    return ", ".join(f"{sigma:.2f}" for sigma in sigmas), ", ".join(bounds)


def _step_of(value: float, boundaries: Sequence[float]) -> str:
    below = [b for b in boundaries if b <= value]
    above = [b for b in boundaries if b > value]
    return f"{max(below, default=0):.1f} to {min(above, default=15):.1f}"


def seeds_table(results: Sequence[Result]) -> str:
    """Return a table with each method's figures, pooled over seeds and folds, and by seed."""
    seeds = _seeds(results)
    kind, each = results[0].dataset.privacy_label, f"of seed {', '.join(map(str, seeds))}"
    heads = ["encoder", "action", f"{kind} by frame", f"{kind} by clip"]
    rows = []
    for method in pool(results):
        of_seeds = [[row for row in method.rows if row.seed == seed] for seed in seeds]
        by_seed = [", ".join(f"{_mean(rows, axis):.1f}" for rows in of_seeds) for axis in AXES]
        figures = map(figure, (method.action, method.frame, method.clip))
        rows.append([method.label, *figures, *by_seed])
    return markdown_table([*heads, f"action {each}", f"{kind} by frame {each}"], rows)


def folds_table(results: Sequence[Result]) -> str:
    """Return a table with action and privacy by frame of each method in each seed and fold."""
    splits = sorted({row.split for result in results for row in result.rows})
    places = [(seed, split) for seed in _seeds(results) for split in splits]
    named = [f"{seed}, {split.replace('fold', 'fold ')}" for seed, split in places]
    rows = []
    for method in pool(results):
        there = [[r for r in method.rows if (r.seed, r.split) == place] for place in places]
        cells = [", ".join(f"{_mean(of_one, axis):.0f}" for axis in AXES) for of_one in there]
        rows.append([method.label, *cells])
    return markdown_table(["encoder", *named], rows)


AXES: tuple[Callable[[Row], Accuracy], ...] = (
    lambda row: row.action,
    lambda row: row.privacy.frame,
)


_COLUMNS = {"action": "action"} | NAMES | {FRAMES: AVERAGED}
"""What tables call what was found, in the order of the columns."""


def findings_table(files: Sequence[list[dict[str, Any]]]) -> str:
    """Return a table with a line for each method and seed, a column for each attacker."""
    found = [one for file in files for one in file]
    there = dict.fromkeys(one["attacker"] for one in found)
    names = [
        *(name for name in _COLUMNS if name in there),
        *(n for n in there if n not in _COLUMNS),
    ]
    whole = max(_sum(_of(found, one["row"], one["seed"], one["attacker"]), "n") for one in found)
    rows = []
    for row, seed in dict.fromkeys((one["row"], one["seed"]) for one in found):
        cells = [_found(_of(found, row, seed, name), whole) for name in names]
        rows.append([f"`{row}`", str(seed), *cells])
    splits = ", ".join(sorted(dict.fromkeys(one["split"] for one in found)))
    below = (
        "By clip, in %; 95 % intervals in round brackets, accuracy on training clips in square"
        f" ones; n = {whole} ({splits}) unless stated."
    )
    return markdown_table(
        ["row", "seed", *(_COLUMNS.get(name, name) for name in names)], rows, below
    )


def _of(found: Sequence[dict[str, Any]], *wanted: Any) -> list[dict[str, Any]]:
    return [one for one in found if (one["row"], one["seed"], one["attacker"]) == wanted]


def _sum(findings: Sequence[dict[str, Any]], name: str) -> int:
    return sum(one[name] for one in findings)


def _found(findings: Sequence[dict[str, Any]], whole: int) -> str:
    """Return what an attacker found, its folds together."""
    if not findings:
        return ""
    right, n = (_sum(findings, name) for name in ("right", "n"))
    low, high = (100 * bound for bound in wilson_interval(right / n, n))
    trainings = [one["training"] for one in findings if "training" in one]
    training = f" [{100 * sum(trainings) / len(trainings):.0f}]" if trainings else ""
    less = f", n = {n}" if n < whole else ""
    return f"{100 * right / n:.1f} ({low:.0f} to {high:.0f}{less}){training}"


def orders_table(files: Sequence[list[dict[str, Any]]]) -> str:
    """Return a table of encoders measured in both orders: a line for each validation."""
    heads = ["data", "encoder", "order", "n", "action", "privacy label by frame", "by clip"]
    rows = []
    for one in (one for file in files for one in file):
        scaled = "" if max(one["scales"]) != min(one["scales"]) else ", training clips not scaled"
        accuracies = [
            Accuracy.model_validate(found)
            for found in (one["action"], one["privacy"]["frame"], one["privacy"]["clip"])
        ]
        cells = [one["dataset"], label(one["method"], one["alpha"]) + scaled, one["order"]]
        rows.append([*cells, str(accuracies[0].n), *map(figure, accuracies)])
    return markdown_table(heads, rows)


def rates_table(results: Sequence[Result]) -> str:
    """Return a table of trained BDQs: the learning rate of their numbers, and where these went."""
    heads = ["learning rate of sigma and boundaries", "sigma", "boundaries moved, in levels"]
    heads += ["action", "privacy label by frame", "by clip"]
    rows, measured = [], [row for result in results for row in result.rows]
    for row in measured:
        settings: Any = row.encoder.settings
        rate = row.encoder.provenance["recipe"]["adversarial"]["encoder_lr"]
        moved = np.abs(np.subtract(settings.boundaries, even_boundaries(len(settings.boundaries))))
        rows.append(
            [
                "the networks'" if rate is None else f"{rate:g}",
                f"{settings.sigma:.2f}",
                f"{moved.mean():.2f} on average, {moved.max():.2f} at most",
                *map(figure, (row.action, row.privacy.frame, row.privacy.clip)),
            ]
        )
    one = measured[0]
    levels = [percent(found.chance_level) for found in (one.action, one.privacy.frame)]
    below = f"n = {one.action.n}, seed {one.seed}, {one.split}; in %, 95 % intervals in brackets;"
    below += f" chance levels {levels[0]} (action) and {levels[1]}."
    return markdown_table(heads, rows, below)


def motion_table(files: Sequence[dict[str, Any]]) -> str:
    """Return a table of one motion ablation: a line for each version of the field."""
    (found,) = files
    names = ("action", "identity", "identity_training")
    rows = [[one["version"], *(f"{one[name]:.1f}" for name in names)] for one in found["rows"]]
    heads = ["what the network sees", "action", "identity", "identity, training clips"]
    return markdown_table(heads, rows, f"In %, n = {found['n']}, seeds: {found['seeds']}.")


def test_bed_table(files: Sequence[dict[str, Any]]) -> str:
    """Return the table of `benchmarks/actors_test_bed.py`."""
    rows = []
    for name, found in (item for file in files for item in file.items()):
        accuracy = Accuracy.model_validate(found)
        rows.append([name, figure(accuracy), percent(accuracy.chance_level), str(accuracy.n)])
    return markdown_table(["input, label", "accuracy", "chance level", "n"], rows)


def _attackers_of(methods: Sequence[Method]) -> list[str]:
    return list(dict.fromkeys(one.name for method in methods for one in method.attackers))


def _by_privacy(results: Sequence[Result]) -> list[Method]:
    return sorted(pool(results), key=lambda method: -method.privacy.accuracy)


def _key(row: Row) -> str:
    return row.method if row.alpha is None else f"{row.method}:{row.alpha:g}"


def _seeds(results: Sequence[Result]) -> list[int]:
    return sorted({row.seed for result in results for row in result.rows})


def _mean(rows: Sequence[Row], axis: Callable[[Row], Accuracy]) -> float:
    """Return the accuracy over the clips of all rows, in %."""
    found = [axis(row) for row in rows]
    return 100 * sum(one.accuracy * one.n for one in found) / sum(one.n for one in found)


def _attackers_row(method: Method, names: Sequence[str]) -> list[str]:
    best = method.strongest
    strongest = "" if best is None else f"{figure(best.accuracy)}, {best.name}"
    cells = [method.label, figure(method.action), strongest]
    for name in names:
        attacker = method.attacker(name)
        shown = "" if attacker is None else figure(attacker.accuracy)
        cells.append(f"**{shown}**" if best is not None and best.name == name else shown)
    return [*cells, _training(method)]


def _training(method: Method) -> str:
    """Say how well the strongest attacker knew its own clips, and after how many epochs."""
    best = method.strongest
    named = "per frame" if best is None or best.name == "frames averaged" else best.name
    trainings = [t for row in method.rows for a in row.attackers if a.name == named
                 for t in a.trainings]  # fmt: skip
    if not trainings:
        return ""
    accuracy = sum(t.accuracy for t in trainings) / len(trainings)
    epochs = sorted({t.epochs for t in trainings})
    span = f"{epochs[0]}" if len(epochs) == 1 else f"{epochs[0]} to {epochs[-1]}"
    return f"{percent(accuracy)}, {span} epochs"


def _about(results: Sequence[Result], methods: Sequence[Method], marked: str = "") -> str:
    """Return the line below a table; `marked` says what its bold figures are."""
    n = " or ".join(map(str, sorted({method.action.n for method in methods})))
    seeds = ", ".join(map(str, _seeds(results)))
    first = methods[0]
    action, privacy = (percent(one.chance_level) for one in (first.action, first.privacy))
    return (
        f"n = {n}, seeds {seeds}; in %, 95 % intervals in brackets{marked};"
        f" chance levels {action} (action) and {privacy}."
    )


KINDS = {
    "attackers": Kind(read_result, attackers_table),
    "summary": Kind(read_result, summary_table),
    "strongest": Kind(read_result, strongest_table),
    "tradeoff": Kind(read_result, tradeoff_table),
    "seeds": Kind(read_result, seeds_table),
    "folds": Kind(read_result, folds_table),
    "findings": Kind(read_json, findings_table),
    "orders": Kind(read_json, orders_table),
    "rates": Kind(read_result, rates_table),
    "motion": Kind(read_json, motion_table),
    "test-bed": Kind(read_json, test_bed_table),
}
