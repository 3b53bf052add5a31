"""What of a run is shared on a hub: its encoder, its recogniser, their weights and a model card."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from motionveil.audit_results import FILE_NAME as AUDIT
from motionveil.audit_results import Audit
from motionveil.errors import MotionveilError
from motionveil.hub import check_repository, sha256_of, upload
from motionveil.recognition.artefact import FILE as RECOGNISER
from motionveil.recognition.artefact import (
    FOLDER,
    NETWORK,
    WEIGHTS,
    RecogniserSpec,
)
from motionveil.report.model_card import hash_in, is_of, model_card, published, rows_of
from motionveil.results import Result
from motionveil.spec import FILE_NAME as ENCODER
from motionveil.spec import EncoderSpec

RESULTS, CARD, CURVES = "results.json", "README.md", "curves.csv"

_WRITTEN = (
    ENCODER,
    "encoder-*.safetensors",
    CURVES,
    *(f"{FOLDER}/{name}" for name in (RECOGNISER, NETWORK, WEIGHTS)),
)


def push(
    folder: str | os.PathLike[str],
    repository: str,
    *,
    figures: Sequence[str | os.PathLike[str]] = (),
    private: bool = False,
    license_id: str | None = None,
) -> str:
    """Write a run's encoder and recogniser into a repository on the hub, with a model card.

    What an earlier push wrote and this one does not is deleted in the same commit.

    Results and audits are read for the card and stay here: they name every clip and every person.

    Args:
        folder: A run folder: `encoder.json`, and `recogniser/` if there is one.
        repository: `owner/name`; made where there is none.
        figures: `results.json` and `audit.json` files of this encoder, or folders with them, for
            the card; those in `folder` are read too.
        private: Make a private repository; one that is there and public is refused.
        license_id: As the hub names licences, such as `"apache-2.0"`; not said if None.

    Returns:
        The name to load it by, with its commit: `hf:owner/name@commit`.

    Raises:
        MotionveilError: There is no encoder, a file of it is missing or damaged, figures are of
            another encoder, no token that may write is in the environment (`HF_TOKEN`), the
            repository is public against `private`, or the hub cannot be reached.

    Examples:
        >>> push("runs/1", "owner/name", private=True)  # doctest: +SKIP
        'hf:owner/name@0123456789abcdef0123456789abcdef01234567'
    """
    files = shared_files(folder, repository, figures, license_id)
    name = EncoderSpec.read(Path(folder) / ENCODER).name
    message = f"{name} by motionveil"
    return upload(files, repository, replaced=_WRITTEN, private=private, message=message)


def shared_files(
    folder: str | os.PathLike[str],
    repository: str,
    figures: Sequence[str | os.PathLike[str]] = (),
    license_id: str | None = None,
) -> dict[str, Path | bytes]:
    """Return what `push` writes, by its path in the repository; see there."""
    check_repository(repository)
    run = Path(folder)
    spec = EncoderSpec.read(run / ENCODER)
    files: dict[str, Path | bytes] = {ENCODER: _without_paths(run / ENCODER)}
    if spec.weights is not None:
        files[spec.weights] = _weights(run / spec.weights)
    if (run / CURVES).is_file():
        files[CURVES] = run / CURVES
    recogniser = None
    if (run / FOLDER / RECOGNISER).is_file():
        recogniser = RecogniserSpec.read(run / FOLDER / RECOGNISER)
        recogniser.check_encoder(spec, str(run / FOLDER))
        files |= _recogniser_files(run / FOLDER, recogniser)
    results = list(_results(run, figures, spec))
    audits = list(_audits(run, figures, spec))
    card = model_card(repository, spec, recogniser, results, audits, license_id)
    return files | {CARD: card.encode()}


def _recogniser_files(folder: Path, spec: RecogniserSpec) -> dict[str, Path | bytes]:
    network = folder / NETWORK
    if not network.is_file() or sha256_of(network) != spec.network.sha256:
        raise MotionveilError(f"{network}: missing, or not the one whose SHA-256 {RECOGNISER} has")
    files: dict[str, Path | bytes] = {
        f"{FOLDER}/{RECOGNISER}": _without_paths(folder / RECOGNISER),
        f"{FOLDER}/{NETWORK}": network,
    }
    if (folder / WEIGHTS).is_file():
        files[f"{FOLDER}/{WEIGHTS}"] = folder / WEIGHTS
    return files


def _weights(file: Path) -> Path:
    if not file.is_file() or file.suffix != ".safetensors":
        raise MotionveilError(f"{file}: no such file of weights (.safetensors)")
    if not sha256_of(file).startswith(hash_in(file.name)):
        raise MotionveilError(f"{file}: damaged: its SHA-256 does not begin as its name ends")
    return file


def _without_paths(file: Path) -> bytes:
    """Return a JSON file without paths and addresses: they name users, disks and cameras."""
    read = json.loads(file.read_text("utf-8-sig"))
    answers = {name: read[name] for name in ("classes", "background") if name in read}
    text = json.dumps(published(read) | answers, indent=1, ensure_ascii=False)
    return f"{text}\n".encode()


def _results(run: Path, given: Sequence[str | os.PathLike[str]], spec: EncoderSpec) -> Any:
    for file, asked in _found(run, given, RESULTS):
        result = Result.read(file)
        if rows_of(result, spec):
            yield result
        elif asked:
            raise MotionveilError(
                f"{file}: no row of this encoder ({spec.name} {spec.fingerprint})"
            )


def _audits(run: Path, given: Sequence[str | os.PathLike[str]], spec: EncoderSpec) -> Any:
    for file, asked in _found(run, given, AUDIT):
        audit = Audit.read(file)
        measured = None if audit.spec is None else EncoderSpec.model_validate(audit.spec)
        if measured is not None and is_of(measured, spec):
            yield audit
        elif asked:
            raise MotionveilError(f"{file}: an audit of another encoder than {spec.fingerprint}")


def _found(
    run: Path, given: Sequence[str | os.PathLike[str]], name: str
) -> Iterable[tuple[Path, bool]]:
    """Return the files of a name that are there, and whether somebody asked for them."""
    places = {run / name: False}
    for place in map(Path, given):
        if not place.exists():
            raise MotionveilError(f"{place}: no such file or folder")
        if place.is_dir() and not any((place / each).is_file() for each in (RESULTS, AUDIT)):
            raise MotionveilError(f"{place}: no {RESULTS} or {AUDIT} in it")
        if place.is_file() and place.name not in (RESULTS, AUDIT):
            raise MotionveilError(f"{place}: figures are read from {RESULTS} and {AUDIT}")
        places[place / name if place.is_dir() else place] = True
    return [(file, asked) for file, asked in places.items() if file.name == name and file.is_file()]
