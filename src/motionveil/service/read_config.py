"""Reading a service's file, with errors that name line and field, and trying out what it says."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from motionveil.bind_address import shown
from motionveil.errors import MotionveilError
from motionveil.limits import read_text
from motionveil.recognition.remote import receiver_kinds
from motionveil.secret import expand_variables, line_of, without_secrets
from motionveil.service.channel import receive
from motionveil.service.config import Camera, CameraSettings, ServiceFile, Settings, merge
from motionveil.service.supervised import Process, pinned, start_process
from motionveil.spec import DEFAULT
from motionveil.yaml_file import load_yaml

_MARGIN = 30.0  # seconds beside those that the source has: to load and to compile

_MOST_FAULTS = 5


@dataclass(frozen=True)
class ServiceConfig:
    """A service's file, read.

    Attributes:
        folder: Where the file lies; names in it are relative to it.
        listen: Address of the page.
        token: The token that viewers need; None for none.
        cameras: By name.
    """

    folder: Path
    listen: str
    token: str | None
    cameras: dict[str, Camera]


def read_config(file: Path) -> ServiceConfig:
    """Read a service's file; opens no source.

    Raises:
        MotionveilError: It cannot be read, is no YAML, or says what cannot be; names up to five
            faults with line and field.
    """
    return _Reader(file, read_text(file, "the service's file")).config()


class _Reader:
    def __init__(self, file: Path, text: str) -> None:
        self._file, self._folder = file, file.absolute().parent
        data = load_yaml(text, f"{file}") or {}
        self._root = yaml.compose(text, Loader=yaml.SafeLoader)
        repeated = next(_repeated(self._root), None)
        if repeated is not None:
            raise MotionveilError(f"{file}:{repeated[0]}: {repeated[1]}: stands here twice")
        try:
            self._content = ServiceFile.model_validate(data)
        except ValidationError as error:
            raise self._fault(error) from None

    def config(self) -> ServiceConfig:
        content = self._content
        token = self._one_of(content.token, content.token_file, ("token",))
        cameras = {name: self._camera(name, said) for name, said in content.cameras.items()}
        return ServiceConfig(self._folder, content.listen, token, cameras)

    def _camera(self, name: str, said: CameraSettings) -> Camera:
        at = ("cameras", name)
        try:
            whole = merge(self._content.defaults, said)
        except ValidationError as error:
            raise self._fault(error, at) from None
        source = self._one_of(whole.source, whole.source_file, (*at, "source"))
        if source is None:
            raise self._error(at, "source: is missing; give source or source_file")
        return Camera(
            name=name,
            source=source,
            # As the file says it: of a variable or a file, its name only.
            shown=shown(whole.source or f"what {whole.source_file} holds"),
            encoder=whole.encoder or (DEFAULT if whole.recogniser is None else None),
            recogniser=whole.recogniser,
            decode=whole.decode,
            threshold=whole.threshold,
            destinations=tuple(
                self._expand(dest, (*at, "destinations")).replace("{camera}", name)
                for dest in whole.destinations
            ),
            recordings=whole.recordings,
            codec=whole.codec,
            preview=whole.preview,
            receivers=tuple(self._receivers(whole, (*at, "events"))),
            limits=whole.limits,
        )

    def _receivers(self, whole: Settings, at: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for kind, receiver in receiver_kinds().items():
            written, file = whole.events.get(kind), whole.events.get(f"{kind}_file")
            address = self._one_of(written, file, (*at, kind))
            if address is None:
                continue
            try:
                receiver.check(address)
            except MotionveilError as error:
                raise self._error((*at, kind), str(error).removeprefix(f"--{kind} ")) from None
            yield kind, address

    def _one_of(self, written: str | None, file: str | None, at: tuple[str, ...]) -> str | None:
        """Return what a key says, or the file that KEY_file names."""
        if file is None:
            return None if written is None else self._expand(written, at)
        if written is not None:
            raise self._error(at, f"give {at[-1]} or {at[-1]}_file, not both")
        key = (*at[:-1], f"{at[-1]}_file")
        try:
            return line_of(str(self._folder / expand_variables(file)), at[-1] + "_file")
        except MotionveilError as error:
            raise self._error(key, str(error).removeprefix(f"{at[-1]}_file ")) from None

    def _expand(self, written: str, at: tuple[str, ...]) -> str:
        try:
            return expand_variables(written)
        except MotionveilError as error:
            raise self._error(at, str(error)) from None

    def _error(self, at: Sequence[Any], text: str) -> MotionveilError:
        return MotionveilError(f"{self._file}:{self._line(at)}: {'.'.join(map(str, at))}: {text}")

    def _fault(self, error: ValidationError, at: Sequence[Any] = ()) -> MotionveilError:
        """Return pydantic's faults; not what was found, which may be a password."""
        faults = error.errors(include_input=False, include_url=False)
        told = []
        for fault in faults[:_MOST_FAULTS]:
            where = [*at, *(part for part in fault["loc"] if part != "[key]")]
            text = fault["msg"].removeprefix("Value error, ")
            told.append(str(self._error(where, text) if where else f"{self._file}: {text}"))
        if len(faults) > _MOST_FAULTS:
            told.append(f"and {len(faults) - _MOST_FAULTS} more")
        return MotionveilError("; ".join(told))

    def _line(self, path: Sequence[Any]) -> int:
        """Return the line, from 1, of a field; of what is missing, that of what it misses in."""
        node: Any = self._root
        line = 1
        for part in path:
            found = _child(node, part)
            if found is None:
                break
            key, node = found
            line = key.start_mark.line + 1
        return line


def _child(node: Any, part: Any) -> tuple[Any, Any] | None:
    """Return the node that has the line of a field, and the one of its value."""
    if isinstance(node, yaml.MappingNode):
        return next(((k, v) for k, v in node.value if k.value == str(part)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


def _repeated(node: Any) -> Iterator[tuple[int, str]]:
    """Yield line and name of keys that stand twice in a mapping: YAML would take the last."""
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            if name in seen:
                yield key.start_mark.line + 1, name
            seen.add(name)
            yield from _repeated(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _repeated(item)


def check(config: ServiceConfig, say: Callable[[str], None]) -> bool:
    """Probe every camera in a process of its own, and say what was found.

    Loads the encoder or recogniser, checks the destinations, opens the source and reads a frame.
    Writes nothing.

    Returns:
        Whether all is well.
    """
    with ThreadPoolExecutor(4) as pool:
        found = pool.map(lambda camera: _probe(camera, config.folder), config.cameras.values())
        fine = True
        for name, (text, is_fine) in zip(config.cameras, found, strict=True):
            say(f"{name}: {'' if is_fine else 'error: '}{text}")
            fine = fine and is_fine
    return fine


def _probe(camera: Camera, folder: Path) -> tuple[str, bool]:
    try:
        process = start_process(pinned(camera), folder, "probe")
    except MotionveilError as error:  # the hub's
        return str(error), False
    try:
        text, fine = _answer(process, time.monotonic() + camera.limits.give_up + _MARGIN)
    finally:
        complaints = [] if process.end(0.5) == 0 else process.complaints.readlines()
    if not text:
        last = complaints[-1].decode(errors="replace").strip() if complaints else "no answer"
        text = f"the probe failed: {last}"
    return without_secrets(text, camera.secrets), fine


def _answer(process: Process, end: float) -> tuple[str, bool]:
    """Return what the probe says and whether it is well; "" if it says nothing in time."""
    try:
        while process.connection.poll(max(0.0, end - time.monotonic())):
            said = receive(process.connection)
            if isinstance(said, Mapping) and said["kind"] in ("probed", "failed"):
                return said["text"], said["kind"] == "probed"
    except (EOFError, OSError):
        pass
    return "", False
