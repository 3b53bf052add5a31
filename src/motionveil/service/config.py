"""What a service's file may say: the model whose JSON schema `motionveil serve --schema` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from motionveil.recognition.remote import receiver_kinds
from motionveil.spec import DEFAULT
from motionveil.video.codecs import CODECS
from motionveil.video.live import Decode
from motionveil.video.sinks.segments import is_pattern

CameraName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,40}$")]
"""It stands in addresses, topics and file names."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Limits(_Part):
    """When a camera's process is restarted."""

    give_up: float = Field(
        default=60.0,
        gt=0,
        description="seconds without a frame from the source",
    )
    memory: int | None = Field(
        default=None,
        ge=64,
        description="resident memory in MiB; null: no limit",
    )


class Recordings(_Part):
    """How recordings with the time in their names are cut into files, and which are kept."""

    length: float = Field(default=600.0, gt=0, description="seconds per file")
    keep_days: float | None = Field(
        default=None, gt=0, description="delete older ones; null: never"
    )
    keep_gigabytes: float | None = Field(
        default=None,
        gt=0,
        description="total size, beyond which the oldest are deleted; null: no limit",
    )


class Settings(_Part):
    """Settings of a camera, and under `defaults` of all cameras."""

    encoder: str | None = Field(
        default=None,
        description="a shipped encoder's name, an encoder.json, a run folder or hf:owner/name;"
        f" {DEFAULT} if neither this nor a recogniser is given",
    )
    recogniser: str | None = Field(
        default=None,
        description="a recogniser's name, its folder, a run folder or hf:owner/name;"
        " it has its own encoder, so give either this or encoder",
    )
    decode: Decode = Field(
        default="none",
        description="what decodes the source's video: none: the processor; auto: vaapi or cuda if"
        " available",
    )
    threshold: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="probability below which no action is named",
    )
    destinations: tuple[str, ...] = Field(
        default=(),
        description="where the veiled video goes, as for `motionveil encode`; {camera} stands for"
        " the camera's name",
    )
    recordings: Recordings = Recordings()
    codec: Literal["h264", "ffv1", "vp9"] | None = Field(
        default=None,
        description="video codec of recordings, where their format leaves a choice",
    )
    preview: bool = Field(
        default=True,
        description="show the veiled image on the page",
    )
    events: dict[str, str] = Field(
        default={},
        description="receivers of events by kind: mqtt (the topic is followed by /NAME of the"
        " camera), webhook; KIND_file names a file that holds the address",
    )
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _check(self) -> Settings:
        if self.encoder is not None and self.recogniser is not None:
            raise ValueError("a recogniser brings its own encoder: give encoder or recogniser")
        kinds = list(receiver_kinds())
        for name in self.events:
            if name.removesuffix("_file") not in kinds:
                known = ", ".join(f"{kind}, {kind}_file" for kind in kinds)
                raise ValueError(f"events: {name}: no such kind of receiver; there are {known}")
        for dest in self.destinations:
            _check_destination(dest)
        return self


class CameraSettings(Settings):
    """A camera: its source, and settings that differ from `defaults`."""

    source: str | None = Field(
        default=None,
        description="as for `motionveil encode`",
    )
    source_file: str | None = Field(
        default=None,
        description="a file whose only line is the source",
    )


class ServiceFile(_Part):
    """The file of `motionveil serve`. In every text, `${NAME}` is an environment variable."""

    listen: str = Field(
        default="127.0.0.1:8080",
        description="HOST:PORT of the page and the metrics",
    )
    token: str | None = Field(
        default=None,
        description="password for viewers, 16 characters or more; required beyond 127.0.0.1",
    )
    token_file: str | None = Field(
        default=None,
        description="a file whose only line is the token",
    )
    defaults: Settings = Field(
        default=Settings(),
        description="for every camera that does not set them itself",
    )
    cameras: dict[CameraName, CameraSettings] = Field(min_length=1)


class Camera(_Part):
    """A camera as its process gets it: defaults applied, variables and files read.

    Attributes:
        name: Its name.
        source: As for `motionveil.video.open_source`; may hold a password.
        shown: What messages call the source.
        encoder: None where the recogniser brings it.
        decode, recogniser, threshold, destinations, recordings, codec, preview, limits: See
            `Settings`.
        receivers: Kinds and addresses of the receivers of events.
    """

    name: CameraName
    source: str
    shown: str
    encoder: str | None
    recogniser: str | None
    decode: Decode
    threshold: float | None
    destinations: tuple[str, ...]
    recordings: Recordings
    codec: str | None
    preview: bool
    receivers: tuple[tuple[str, str], ...]
    limits: Limits

    @property
    def secrets(self) -> tuple[str, ...]:
        """What no message may repeat."""
        return (self.source, *self.destinations, *(address for _, address in self.receivers))


def merge(defaults: Settings, camera: CameraSettings) -> CameraSettings:
    """Return a camera's settings with the defaults where it says nothing.

    Of encoder and recogniser, one that the camera names takes the place of both defaults.
    """
    own = camera.model_dump(exclude_unset=True)
    inherited = defaults.model_dump(exclude_unset=True)
    if {"encoder", "recogniser"} & own.keys():
        inherited = {k: v for k, v in inherited.items() if k not in ("encoder", "recogniser")}
    for part in ("events", "limits", "recordings"):
        own[part] = _united(inherited.get(part, {}), own.get(part, {}))
    return CameraSettings.model_validate(inherited | own)


def schema() -> dict[str, Any]:
    """Return the JSON schema of the file."""
    return ServiceFile.model_json_schema()


def _united(inherited: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Join two mappings; `KIND` and `KIND_file` stand for the same."""
    said = {name.removesuffix("_file") for name in own}
    return {k: v for k, v in inherited.items() if k.removesuffix("_file") not in said} | own


def is_file(dest: str) -> bool:
    """Say whether a destination is a video file, or several that are cut."""
    return "://" not in dest and Path(dest).suffix.lower() in CODECS


def _check_destination(dest: str) -> None:
    if dest == "-":
        raise ValueError("destinations: -: a service has no standard output to write video to")
    if is_file(dest) and not is_pattern(dest):
        better = Path(dest).with_suffix(f".%Y%m%d-%H%M%S{Path(dest).suffix}")
        raise ValueError(
            f"destinations: {dest}: every start would replace this file; write the time into its"
            f" name, such as {better}"
        )
