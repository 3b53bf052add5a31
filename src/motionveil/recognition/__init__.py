"""What recognises actions in veiled video: frame in, action out; needs no torch.

Examples:
    >>> from motionveil.recognition import StreamRecogniser, load_recogniser
    >>> recogniser = load_recogniser("quickstart")  # doctest: +SKIP
    >>> stream = StreamRecogniser(recogniser)  # doctest: +SKIP
    >>> events = stream(veiled, time=0.0)  # doctest: +SKIP
"""

from motionveil.recognition.answers import Answer, Event, Receiver
from motionveil.recognition.artefact import RecogniserSpec
from motionveil.recognition.recognise_clip import recognise_clip
from motionveil.recognition.recognise_source import (
    RecognitionOptions,
    RecognitionSummary,
    recognise_source,
)
from motionveil.recognition.recogniser import Recogniser, load_recogniser
from motionveil.recognition.stream_recogniser import StreamOptions, StreamRecogniser

__all__ = [
    "Answer",
    "Event",
    "Receiver",
    "Recogniser",
    "RecogniserSpec",
    "RecognitionOptions",
    "RecognitionSummary",
    "StreamOptions",
    "StreamRecogniser",
    "load_recogniser",
    "recognise_clip",
    "recognise_source",
]
