"""An action network out of torch: as ONNX, checked against itself, and as safetensors."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from motionveil.atomic_write import atomic_path
from motionveil.errors import MotionveilError
from motionveil.recognition.network import ActionNetwork

LARGEST_ERROR = 1e-4
"""Of a logit, as a share of the largest one or of 1."""

_OPSET = 17


def export_onnx(network: nn.Module, clips: Tensor, file: Path, *, classes: int) -> float:
    """Write an action network as ONNX for clips of one length and size, in batches of any.

    Args:
        network: From `(B, 3, T, size, size)` in [-1, 1] to logits `(B, classes)`.
        clips: Clips `(B, 3, T, size, size)` on which the file is compared with the network.
        file: Where to write.
        classes: Number of outputs.

    Returns:
        The largest error of a logit.

    Raises:
        MotionveilError: The network cannot be exported, or the file computes something else.
    """
    network = copy.deepcopy(network).cpu().float().eval()
    clips = clips.cpu().float().contiguous()
    with atomic_path(file) as part, torch.no_grad():
        wanted = network(clips)
        try:
            with warnings.catch_warnings():
                # The checks of shapes are traced, which is what is wanted: the shape is fixed.
                warnings.simplefilter("ignore")
                torch.onnx.export(
                    network,
                    (clips[:1],),
                    str(part),
                    input_names=["clips"],
                    output_names=["logits"],
                    dynamic_axes={"clips": {0: "batch"}, "logits": {0: "batch"}},
                    opset_version=_OPSET,
                    dynamo=False,
                )
        except ModuleNotFoundError:
            raise
        except Exception as error:  # torch's own share no base
            reason = str(error).strip().partition("\n")[0]
            raise MotionveilError(
                f"{file}: the action network cannot be written as ONNX: {reason}"
            ) from error
        channels, frames, height, width = clips.shape[1:]
        run = ActionNetwork(part, shape=(channels, frames, height, width), classes=classes)
        largest = float((torch.from_numpy(run(clips.numpy())) - wanted).abs().max())
        if not largest <= LARGEST_ERROR * max(1.0, float(wanted.abs().max())):
            raise MotionveilError(
                f"{file}: the ONNX network is off by {largest:.2g} from the one that was trained"
            )
    return largest


def save_weights(network: nn.Module, file: Path, metadata: dict[str, str]) -> None:
    """Write a network's weights as safetensors, to be trained on.

    Raises:
        MotionveilError: Nothing can be written there.
    """
    from safetensors.torch import save_file

    tensors = {
        name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()
    }
    with atomic_path(file) as part:
        save_file(tensors, part, metadata=metadata)
