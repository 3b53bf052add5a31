"""The manifest's sidecar: what a data set is, for people and programs that do not read the CSV."""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from motionveil.errors import MotionveilError
from motionveil.limits import read_text

KEPT = {"split_rule", "rate", "background"}
"""Fields that the sidecar alone holds."""


class Sidecar(BaseModel):
    """What a CSV holds, and the `KEPT` fields that it does not; see `Manifest`."""

    model_config = ConfigDict(extra="forbid")

    name: str
    root: str
    clips: int
    actions: list[str]
    privacy: dict[str, list[str]]
    splits: list[str]
    split_rule: str = ""
    rate: float | None = None
    background: str | None = None
    hash: str

    @classmethod
    def read(cls, file: Path) -> Sidecar | None:
        """Read and check a sidecar; None if there is none.

        Raises:
            MotionveilError: It is at fault; names the field.
        """
        if not file.exists():
            return None
        try:
            return cls.model_validate_json(read_text(file, "the manifest's sidecar"))
        except ValidationError as error:
            first = error.errors()[0]
            field_name = ".".join(str(part) for part in first["loc"])
            raise MotionveilError(f"{file}: {field_name or 'not JSON'}: {first['msg']}") from error
