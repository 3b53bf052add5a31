"""What an audit says of faces."""

from __future__ import annotations

from collections.abc import Iterator

from motionveil.findings import FaceFinding
from motionveil.report.audit_reading import Reading
from motionveil.report.audit_words import figure
from motionveil.report.templates import percent
from motionveil.statistics import p_words


def told_faces(reading: Reading) -> Iterator[str]:
    """Yield what each search for faces has found."""
    for found in reading.audit.faces:
        yield _told(found)


def _told(found: FaceFinding) -> str:
    label = found.label
    if not found.with_faces:
        return (
            f"Faces: a detector found none in the original frames of these {found.clips} clips, so"
            " that it finds none in the veiled ones says nothing."
        )
    sentences = [
        f"Faces: a detector finds one in {figure(found.veiled)} of the veiled frames, and in"
        f" {figure(found.original)} of the original ones."
    ]
    if found.again is not None:
        sentences.append(
            f" Of the faces in original frames {figure(found.again)} are found again where they"
            " were."
        )
    naming = found.naming
    if naming is not None:
        sentences.append(
            f" Told where the faces are, a network for faces names the right {label} from veiled"
            f" frames of {figure(naming.veiled)} of the {naming.clips} clips with a face, from"
            f" original ones of {figure(naming.original)}; guessing the commonest:"
            f" {percent(naming.floor)} ({p_words(naming.p)})."
        )
    return "".join(sentences)
