"""How an experiment is not the published one, and which of its rows cannot be compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from motionveil.published import Publication, PublishedDataset, PublishedRow
from motionveil.results import Dataset, Result, Row

_ELSEWHERE = ("alpha", "weights.", "transformer.", "attackers.", "activation_checkpointing")
"""Fields of a recipe that are no departure: alpha stands in the rows, files stand at the networks
that they are for, attackers have no published counterpart, and the last changes no number."""


class Departure(BaseModel):
    """Where an experiment is not the published one: a field of the data or of the recipe."""

    field: str
    here: str
    published: str


def name_of(method: str, alpha: float | None) -> str:
    """Return how a method is called on the command line: `raw`, or `bdq, alpha 2`."""
    return method if alpha is None else f"{method}, alpha {alpha:g}"


def counterpart(
    method: str, alpha: float | None, published: PublishedDataset
) -> PublishedRow | None:
    """Return the published row of a method; BDQ has one at the published alpha only."""
    for row in published.rows:
        if row.method == method and row.alpha in (None, alpha):
            return row
    return None


def departures(
    result: Result, publication: Publication, published: PublishedDataset
) -> list[Departure]:
    """Return every field of data, recipe, weights and encoders that is not the published one.

    A field that the publication leaves open is one too, where it is not what the shipped recipes
    have: its published value is then said to be open.
    """
    found = [
        *_of_data(result.dataset, published),
        *_of_recipe(result, publication, published),
    ]
    for row in result.rows:
        if counterpart(row.method, row.alpha, published) is not None:
            found += _of_encoder(row, result, publication, published)
    return list({(d.field, d.here): d for d in found}.values())


def refusals(result: Result, published: PublishedDataset) -> dict[str, str]:
    """Return the methods with a published counterpart that cannot be compared, and why.

    Their encoders were trained on other data, for another label, or on clips held out here.
    """
    found = {}
    for row in result.rows:
        reason = _refusal(row, result.dataset)
        if reason and counterpart(row.method, row.alpha, published) is not None:
            found[name_of(row.method, row.alpha)] = f"its encoder was trained {reason}"
    return found


def _refusal(row: Row, dataset: Dataset) -> str:
    origin = row.encoder.provenance
    data, label, split = (origin.get(name) for name in ("data", "privacy_label", "split"))
    if data is not None and data != dataset.name:
        return f"on {data}, not on {dataset.name}"
    if label is not None and label != dataset.privacy_label:
        return f"to hide {label}, not {dataset.privacy_label}"
    if split is not None and split != row.split:
        return f"with {split} held out, and is scored on {row.split}"
    return ""


def _of_data(dataset: Dataset, published: PublishedDataset) -> Iterator[Departure]:
    """Yield how the clips and their labels are not the published ones."""
    way = dataset.split_rule.partition(":")[0]
    if way != published.split:
        yield _departure("split", way or "not stated", published.split)
    counts = (published.training, published.validation)
    for split, found in dataset.parts.items():
        if found != counts:
            here, there = (f"{training} + {held_out}" for training, held_out in (found, counts))
            yield _departure(f"clips of {split}", here, there)
            break
    if len(dataset.actions) != published.actions:
        yield _departure("actions", len(dataset.actions), published.actions)
    if len(dataset.privacy_names) != published.privacy_names:
        what = f"classes of {published.privacy_label}"
        yield _departure(what, len(dataset.privacy_names), published.privacy_names)


def _of_recipe(
    result: Result, publication: Publication, published: PublishedDataset
) -> Iterator[Departure]:
    found = dict(_flat(_with_rate_and_order(result.recipe)))
    for role in ("action", "privacy"):  # what the file is, and not only its name
        field = f"{role}.weights"
        found[field] = result.weights.get(role, found.get(field))
    yield from _differing(found, publication, published)


def _of_encoder(
    row: Row, result: Result, publication: Publication, published: PublishedDataset
) -> Iterator[Departure]:
    """Yield how an encoder's settings and training are not the published ones."""
    encoder, whose = row.encoder, f"encoder of {name_of(row.method, row.alpha)}"
    settings = encoder.settings.model_dump(mode="json") if encoder.settings else {}
    boundaries = settings.get("boundaries")
    if boundaries:
        settings["boundaries"] = len(boundaries)
    for field, value in publication.encoders.get(encoder.method, {}).items():
        if settings.get(field) != value:
            yield _departure(f"{whose}: {field}", settings.get(field), value)
    if not encoder.kind.learned:
        return
    origin = encoder.provenance
    if "data" not in origin:
        yield _departure(f"{whose}: trained on", None, f"{published.name}")
    elif origin.get("manifest") != result.dataset.hash:
        yield _departure(f"{whose}: manifest", origin.get("manifest"), result.dataset.hash)
    if "recipe" not in origin:
        yield _departure(f"{whose}: recipe", None, "that of the paper")
        return
    flat = dict(_flat(origin["recipe"]))
    flat |= {f"{role}.weights": source for role, source in origin.get("weights", {}).items()}
    for field in encoder.kind.unpublished:
        flat.pop(field, None)
    for found in _differing(flat, publication, published, only_those_there=True):
        yield found.model_copy(update={"field": f"{whose}: {found.field}"})


def _differing(
    found: Mapping[str, Any],
    publication: Publication,
    published: PublishedDataset,
    *,
    only_those_there: bool = False,
) -> Iterator[Departure]:
    """Yield the fields of a recipe that are not the published ones, or not ours where open."""
    own = {"frames": published.frames, **publication.protocol}
    left_open = {"cache_size": published.cache_size, **publication.open}
    for field, value in own.items():
        if field not in found:
            if not only_those_there:
                yield _departure(field, "not stated", value)
        elif not _same(field, found[field], value):
            yield _departure(field, found[field], value)
    for field, here in found.items():
        if field in own or field.startswith(_ELSEWHERE):
            continue
        if field not in left_open or not _same(field, here, left_open[field]):
            ours = f" ({_text(left_open[field])} in our recipe)" if field in left_open else ""
            yield Departure(field=field, here=_text(here), published=f"open{ours}")


def _departure(field: str, here: Any, published: Any) -> Departure:
    return Departure(field=field, here=_text(here), published=_text(published))


def _with_rate_and_order(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an older recipe, which has `frame_step` and knows the paper's order only, as now."""
    if "frame_step" not in recipe:
        return recipe
    step = recipe["frame_step"]
    rate = None if step == 1 else f"1 frame in {step}"
    kept = {name: value for name, value in recipe.items() if name != "frame_step"}
    return {"rate": rate, "order": "paper", **kept}


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the fields of a recipe, with dots in the names of nested ones."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _same(field: str, found: Any, value: Any) -> bool:
    if field.endswith(".weights"):
        return str(value) in str(found)
    if isinstance(value, list) and isinstance(found, list):
        return len(found) == len(value) and all(map(math.isclose, found, value))
    return bool(found == value)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(f"{i:.3g}" if isinstance(i, float | int) else str(i) for i in value)
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else f"{value}"
