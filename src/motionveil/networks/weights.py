"""Reading a network's weights from safetensors: everything must fit, or it says what does not."""

from __future__ import annotations

import logging
import shlex
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from motionveil.atomic_write import atomic_path
from motionveil.errors import MotionveilError, no_such
from motionveil.hub import sha256_of
from motionveil.limits import load_json
from motionveil.networks.preprocessing import Normalised
from motionveil.networks.registry import (
    Weights,
    action_networks,
    create_registered,
    download,
    on_hub,
    privacy_networks,
    published_weights,
)

N = TypeVar("N", bound=nn.Module)

_LOG = logging.getLogger(__name__)
_TYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int64)
_SHOWN = 5  # keys of a kind that a message names before it counts the rest


@dataclass(frozen=True)
class LoadedWeights:
    """What `load_weights` took.

    Attributes:
        path: The file read.
        head_kept: False where the file's classifier has another number of classes, so that the
            network keeps its fresh one.
        metadata: What the file says about itself, such as `architecture` and `source`.
    """

    path: Path
    head_kept: bool
    metadata: dict[str, str]


def with_weights(
    network: N,
    weights: Weights,
    *,
    head: str,
    architecture: str,
) -> N:
    """Return `network` with the weights asked for: fresh, or from a file.

    Args:
        weights: None or a file; `create_action_network` has fetched what `pretrained` means.
        head: Name of the classifier, such as `"fc"`.
        architecture: Word by which a file's metadata names the network, such as `"i3d"`.

    Raises:
        MotionveilError: As `load_weights`; or none are published.
    """
    if weights is None:
        return network
    if str(weights) == "pretrained":
        raise MotionveilError(f"{architecture}: no published weights; it is trained from scratch")
    load_weights(network, weights, head=head, architecture=architecture)
    return network


def load_weights(
    network: nn.Module, path: str | Path, *, head: str, architecture: str
) -> LoadedWeights:
    """Load a safetensors file into a network, in place.

    Every tensor must fit by name and shape, in both directions. Two exceptions: a classifier with
    another number of classes is not taken, which is logged and returned; and BatchNorm's counters
    `num_batches_tracked`, which old checkpoints do not have, may be missing. A prefix `module.`
    on all keys is dropped. Tensors are cast to the network's types, so fp16 becomes fp32.

    A `Normalised` network takes files of the network inside it and of the whole. For the former,
    metadata `input_mean` and `input_std` (JSON lists for R, G, B on the scale [0, 1]) replace the
    network's own normalisation.

    Args:
        path: The `.safetensors` file.
        head: Name of the classifier, such as `"fc"`.
        architecture: Word by which the file's metadata should name the network.

    Raises:
        MotionveilError: The file is missing, broken or no safetensors, holds a value that is not
            finite, or does not fit; names the file and the keys.
    """
    path = Path(path)
    tensors, metadata = read_tensors(path)
    if all(key.startswith("module.") for key in tensors):
        tensors = {key.removeprefix("module."): tensor for key, tensor in tensors.items()}
    target = network
    if isinstance(network, Normalised):
        if any(key.startswith("network.") for key in tensors):
            head = f"network.{head}"
        else:
            target = network.network

    own = target.state_dict()
    head_kept = not _other_classes(tensors, own, head)
    replaced = set() if head_kept else {key for key in own if key.startswith(f"{head}.")}
    counters = {key for key in own.keys() - tensors.keys() if key.endswith("num_batches_tracked")}
    filled = tensors | {key: own[key] for key in replaced | counters}
    note = _other_architecture(metadata, architecture)
    misfit = _misfit(filled, own)
    if misfit:
        raise MotionveilError(f"{path}: the weights do not fit {architecture}: {misfit}{note}")

    if isinstance(network, Normalised) and target is not network:
        network.mean.copy_(_channels(path, metadata, "input_mean", network.mean))
        network.std.copy_(_channels(path, metadata, "input_std", network.std))
    target.load_state_dict({key: tensor.to(own[key].dtype) for key, tensor in filled.items()})
    if note:
        _LOG.warning("%s: the weights fit%s", path, note)
    if not head_kept:
        _LOG.info("%s: another number of classes; the classifier is fresh, all else loaded", path)
    return LoadedWeights(path, head_kept, metadata)


def holds_frame_weights(path: str | Path) -> bool:
    """Tell whether a file holds a 2D network: it has kernels with four axes and none with five.

    False where the file cannot be read: `load_weights` says what is wrong with it.
    """
    try:
        with safe_open(path, framework="pt") as file:
            keys = file.keys()
            axes = {len(file.get_slice(key).get_shape()) for key in keys}
    except (OSError, SafetensorError):
        return False
    return 4 in axes and 5 not in axes


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return the tensors of a safetensors file and its metadata.

    Raises:
        MotionveilError: The file is missing, broken or no safetensors, or holds a value that is not
            finite, or of a type that weights do not have (complex, fp8).
    """
    if not path.is_file():
        raise MotionveilError(f"{path}: no such weights file")
    if path.suffix != ".safetensors":
        raise MotionveilError(_how_to_convert(path))
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise MotionveilError(f"{path}: broken, or not safetensors: {error}") from error
    odd = sorted(f"{key} ({t.dtype})" for key, t in tensors.items() if t.dtype not in _TYPES)
    if odd:
        raise MotionveilError(f"{path}: tensors of types that weights do not have: {_some(odd)}")
    bad = sorted(key for key, tensor in tensors.items() if not torch.isfinite(tensor).all())
    if bad:
        raise MotionveilError(f"{path}: values that are not finite in {_some(bad)}")
    return tensors, metadata


def _how_to_convert(path: Path) -> str:
    return (
        f"{path}: weights are read from .safetensors only, since a pickle can run code when it is "
        f"read; convert it: motionveil weights DIR --convert NAME={shlex.quote(str(path))}"
    )


def _channels(path: Path, metadata: dict[str, str], key: str, default: Tensor) -> Tensor:
    """Return three numbers from a file's metadata, the default where it has none."""
    if key not in metadata:
        return default
    try:
        values = torch.tensor(load_json(metadata[key]), dtype=default.dtype, device="cpu")
    except (TypeError, ValueError) as error:
        raise MotionveilError(f"{path}: {key} is {metadata[key]!r}, not a JSON list") from error
    positive = key != "input_std" or bool((values > 0).all())
    if values.shape != default.shape or not values.isfinite().all() or not positive:
        raise MotionveilError(f"{path}: {key} is {metadata[key]}, not 3 usable numbers")
    return values


def _other_classes(tensors: dict[str, Tensor], own: dict[str, Tensor], head: str) -> bool:
    """Tell whether the file's classifier is this network's but for the number of classes."""
    keys = [key for key in own if key.startswith(f"{head}.")]
    if any(key not in tensors or tensors[key].ndim == 0 for key in keys):
        return False
    classes = {tensors[key].shape[0] for key in keys}
    same_features = all(tensors[key].shape[1:] == own[key].shape[1:] for key in keys)
    return same_features and len(classes) == 1 and classes != {own[key].shape[0] for key in keys}


def _other_architecture(metadata: dict[str, str], architecture: str) -> str:
    """Say so where a file's metadata names another network; empty otherwise."""
    said = metadata.get("architecture", "")
    if not said or architecture in said.lower():
        return ""
    return f"; the file says that it holds {said!r}, and this network is {architecture}"


def _misfit(tensors: dict[str, Tensor], own: dict[str, Tensor]) -> str:
    """Say which keys are missing, unexpected or of the wrong shape; empty where all fit."""
    missing = sorted(own.keys() - tensors.keys())
    unexpected = sorted(tensors.keys() - own.keys())
    shapes = [
        f"{key} {tuple(tensors[key].shape)} instead of {tuple(own[key].shape)}"
        for key in sorted(own.keys() & tensors.keys())
        if tensors[key].shape != own[key].shape
    ]
    kinds = {"missing": missing, "unexpected": unexpected, "wrong shape": shapes}
    return "; ".join(f"{kind}: {_some(keys)}" for kind, keys in kinds.items() if keys)


def _some(keys: list[str]) -> str:
    rest = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + rest


def source_of_weights(name: str, weights: Weights) -> str:
    """Return what weights are, as far as it is known, for a result.

    Args:
        name: The network.
        weights: As in `create_action_network`.

    Returns:
        `none`; the data, address, commit and SHA-256 of what is downloaded by the network's name;
        or a file's name, what its metadata says of its source, and its SHA-256.

    Raises:
        MotionveilError: The weights cannot be had or read.
    """
    if weights is None:
        return "none"
    if str(weights) == "pretrained":
        hub = on_hub(published_weights(name))
        if hub is None:
            return "pretrained"
        got = download(hub)
        return f"{hub.data}, {hub.address}, commit {got.revision}, SHA-256 {got.sha256}"
    file = Path(weights)
    try:
        with safe_open(file, framework="pt") as opened:
            source = (opened.metadata() or {}).get("source", "of unknown source")
        digest = sha256_of(file)
    except (OSError, SafetensorError) as error:
        raise MotionveilError(f"{file}: broken, or not safetensors: {error}") from error
    return f"{file.name}, {source}, SHA-256 {digest}"


def weights_by_network(given: Sequence[str], option: str = "--weights") -> dict[str, str]:
    """Return weights files by their networks' names.

    Args:
        given: `NAME=FILE`, or a folder of `NAME.safetensors`. Later ones replace earlier ones.
        option: What the user gave them to, for errors.

    Raises:
        MotionveilError: There is no such network or file, or a folder has none for any network.
    """
    known = {*action_networks(), *privacy_networks()}
    found: dict[str, str] = {}
    for text in given:
        name, equals, file = text.partition("=")
        if Path(text).is_dir():
            files = {f.stem: str(f.absolute()) for f in sorted(Path(text).glob("*.safetensors"))}
            if not files.keys() & known:
                raise MotionveilError(
                    f"{option} {text}: no file there is called NAME.safetensors after a network;"
                    f" found {', '.join(files) or 'none'}"
                )
            found |= {name: path for name, path in files.items() if name in known}
        elif not equals:
            raise MotionveilError(f"{option} {text}: no such folder, and not NAME=FILE")
        elif name not in known:
            raise MotionveilError(f"{option} {text}: {no_such('network', name, sorted(known))}")
        elif not Path(file).is_file():
            raise MotionveilError(f"{option} {text}: no such file {file}")
        else:
            found[name] = str(Path(file).absolute())
    return found


def convert_weights(name: str, file: Path, folder: Path) -> tuple[Path, str]:
    """Write published weights as `folder/name.safetensors` with their source, once they fit.

    The one place where a pickle is read, since published checkpoints are pickles: by torch's
    reader of tensors, which refuses what would run code, and after the file's hash was compared
    with the one published, where one is.

    Args:
        file: The checkpoint, under the name that it is published by.

    Returns:
        The file written, and the checkpoint's SHA-256.

    Raises:
        MotionveilError: Nothing is published for the network, the file is another, cannot be read
            or does not fit.
    """
    known = published_weights(name)
    if not file.is_file():
        raise MotionveilError(f"{file}: no such file")
    published = next((one for one in known if one.name == file.name), None)
    if published is None:
        names = ", ".join(p.name for p in known) or "there are none"
        raise MotionveilError(
            f"{file}: none of the files published for {name}: {names}; a file is known by its name"
        )
    digest = published.refuse_other(file)
    with torch.device("meta"):
        network = create_registered(name, 400)
    tensors = _tensors(file)
    if published.ordered:
        tensors = _renamed(tensors, getattr(network, "network", network).state_dict(), file)
    about = {
        "architecture": name,
        "source": f"{published.data}, {published.address} ({published.name})",
        "source_sha256": digest,
        **(published.metadata or {}),
    }
    target = folder / f"{name}.safetensors"
    with atomic_path(target) as part:
        save_file({key: value.contiguous() for key, value in tensors.items()}, part, about)
        if fault := misfit_of(name, part):
            raise MotionveilError(f"{file}: {fault}")
    return target, digest


def misfit_of(name: str, file: Path) -> str:
    """Return why a file's weights do not fit a network; empty where they do.

    It takes no memory but the file's: shapes are compared, values only looked at.
    """
    try:
        with torch.device("meta"), warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*meta parameter")
            create_registered(name, 400, weights=file)
    except MotionveilError as error:
        return str(error).removeprefix(f"{file}: ")
    return ""


def _tensors(file: Path) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, without the prefix that training on several GPUs leaves."""
    try:
        if file.suffix == ".safetensors":
            return load_file(file)
        read: Any = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # the reader's errors and the disk's share no base
        reason = str(error).strip().partition("\n")[0]
        raise MotionveilError(f"{file}: cannot be read as tensors: {reason}") from error
    state = read.get("state_dict", read) if isinstance(read, dict) else {}
    tensors = {str(key): value for key, value in state.items() if isinstance(value, Tensor)}
    if not tensors:
        raise MotionveilError(f"{file}: holds no tensors by name")
    return {key.removeprefix("module."): value for key, value in tensors.items()}


def _renamed(tensors: dict[str, Tensor], own: dict[str, Tensor], file: Path) -> dict[str, Tensor]:
    """Return tensors under the network's names, in whose order they stand."""
    values = [tensor for key, tensor in tensors.items() if not key.endswith("num_batches_tracked")]
    names = [key for key in own if not key.endswith("num_batches_tracked")]
    if len(values) != len(names):
        raise MotionveilError(f"{file}: holds {len(values)} tensors, the network has {len(names)}")
    return dict(zip(names, values, strict=True))
