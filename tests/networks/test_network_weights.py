"""Reading weights: what fits, what does not and how that is said, and other people's files."""

import hashlib
import logging
import pickle
import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from motionveil import MotionveilError
from motionveil.cli import main
from motionveil.hub import HubFile
from motionveil.networks import (
    action_networks,
    create_action_network,
    create_privacy_network,
    load_weights,
    privacy_networks,
    published_weights,
    registry,
)
from motionveil.networks.backbones import ensure_torchvision
from motionveil.networks.weights import (
    convert_weights,
    read_tensors,
    source_of_weights,
    weights_by_network,
)


@pytest.fixture
def state() -> dict[str, Tensor]:
    torch.manual_seed(3)
    return create_privacy_network("small2d", 4).state_dict()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "weights.safetensors"


def load(file: Path, classes: int = 4) -> nn.Module:
    return create_privacy_network("small2d", classes, weights=file)


def refusal(file: Path) -> str:
    """The message with which the file is refused; it is one line and names the file."""
    with pytest.raises(MotionveilError) as caught:
        load(file)
    message = str(caught.value)
    assert message.startswith(f"{file}: ")
    assert "\n" not in message
    return message


def test_a_missing_key_is_named(state, file):
    del state["features.2.0.weight"], state["head.bias"]
    save_file(state, file)
    assert "missing: features.2.0.weight, head.bias" in refusal(file)


def test_an_unexpected_key_is_named(state, file):
    save_file(state | {"features.9.weight": torch.zeros(2)}, file)
    assert "unexpected: features.9.weight" in refusal(file)


def test_a_wrong_shape_is_named_with_both_shapes(state, file):
    save_file(state | {"features.0.1.bias": torch.zeros(7)}, file)
    assert "wrong shape: features.0.1.bias (7,) instead of (16,)" in refusal(file)


def test_a_head_on_other_features_does_not_fit(state, file):
    save_file(state | {"head.weight": torch.zeros(4, 95)}, file)
    assert "wrong shape: head.weight (4, 95) instead of (4, 128)" in refusal(file)


def test_a_head_at_odds_with_itself_does_not_fit(state, file):
    save_file(state | {"head.weight": torch.zeros(9, 96)}, file)
    assert "wrong shape: head.weight (9, 96)" in refusal(file)


def test_a_long_list_is_counted(state, file):
    save_file({"a": torch.zeros(1)}, file)
    assert " and 17 more; unexpected: a" in refusal(file)


def test_an_empty_file_fits_nothing(file):
    save_file({}, file)
    assert "missing: " in refusal(file)


def test_the_architecture_that_the_file_names_is_said(state, file):
    del state["head.bias"]
    save_file(state, file, metadata={"architecture": "ShuffleNet-v2, 10 classes"})
    assert "the file says that it holds 'ShuffleNet-v2, 10 classes'" in refusal(file)


def test_weights_that_fit_under_another_name_are_taken_with_a_warning(state, file, caplog):
    save_file(state, file, metadata={"architecture": "ShuffleNet-v2"})
    load(file)
    assert "ShuffleNet-v2" in caplog.text
    caplog.clear()
    save_file(state, file, metadata={"architecture": "Small2D"})
    load(file)
    assert caplog.text == ""


def test_a_head_of_other_classes_is_replaced_and_said(state, file, caplog):
    save_file(state, file, metadata={"source": "a test"})
    torch.manual_seed(0)
    network = create_privacy_network("small2d", 6)
    fresh = network.head.weight.clone()
    with caplog.at_level(logging.INFO):
        loaded = load_weights(network, file, head="head", architecture="small2d")
    assert not loaded.head_kept
    assert loaded.metadata == {"source": "a test"}
    assert "classifier is fresh" in caplog.text
    assert torch.equal(network.head.weight, fresh)
    assert torch.equal(network.features[3][0].weight, state["features.3.0.weight"])


def test_a_head_of_as_many_classes_is_kept(state, file):
    save_file(state, file)
    network = create_privacy_network("small2d", 4)
    assert load_weights(network, file, head="head", architecture="small2d").head_kept
    assert torch.equal(network.head.weight, state["head.weight"])


def test_half_precision_a_prefix_and_missing_counters_are_understood(state, file):
    old = {
        f"module.{key}": value.half()
        for key, value in state.items()
        if not key.endswith("num_batches_tracked")
    }
    save_file(old, file)
    network = load(file)
    for key, value in network.state_dict().items():
        assert value.dtype == state[key].dtype
        torch.testing.assert_close(value, state[key], rtol=1e-3, atol=1e-6)


def test_a_value_that_is_not_finite_is_named(state, file):
    state["features.1.1.running_var"][3] = float("nan")
    save_file(state, file)
    assert "not finite in features.1.1.running_var" in refusal(file)


@pytest.mark.parametrize("keep", [0, 5, 200, -1])
def test_a_truncated_file_is_broken(state, file, keep):
    save_file(state, file)
    file.write_bytes(file.read_bytes()[:keep])
    assert "broken" in refusal(file)


def test_a_missing_file_or_a_folder_is_named(file):
    assert "no such weights file" in refusal(file)
    file.mkdir()
    assert "no such weights file" in refusal(file)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was read",))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".ckpt", ".tar"])
def test_no_pickle_is_read(tmp_path, suffix):
    file = tmp_path / f"net{suffix}"
    file.write_bytes(pickle.dumps(Bomb()))
    assert f"motionveil weights DIR --convert NAME={file}" in refusal(file)


def test_a_pickle_by_the_right_name_is_not_read_either(file):
    file.write_bytes(pickle.dumps(Bomb()))
    assert "not safetensors" in refusal(file)


def test_pretrained_without_a_download_says_where_to_get_weights():
    with pytest.raises(
        MotionveilError,
        match=r"get resnet-50-kinetics\.pth from \S+/3D-ResNets.*motionveil weights",
    ):
        create_action_network("resnet50_3d", 6, weights="pretrained")
    with pytest.raises(MotionveilError, match="trained from scratch"):
        create_action_network("small3d", 6, weights="pretrained")


class TestConverting:
    """Published checkpoints, as their publishers save them, with random values."""

    def saved(self, network: nn.Module, file: Path, prefix: str = "module.") -> dict[str, Tensor]:
        """Write a checkpoint as Hara's code does, and return its values by the network's names."""
        state = {k: v for k, v in network.state_dict().items() if "num_batches" not in k}
        torch.save({"epoch": 3, "state_dict": {f"{prefix}{k}": v for k, v in state.items()}}, file)
        return state

    def test_what_was_trained_on_bytes_sees_bytes(self, tmp_path, capsys):
        file = tmp_path / "kinetics_squeezenet_RGB_16_best.pth"
        state = self.saved(create_action_network("squeezenet_3d", 600).network, file)
        assert main(["weights", str(tmp_path / "nets"), "--convert", f"squeezenet_3d={file}"]) == 0
        assert hashlib.sha256(file.read_bytes()).hexdigest() in capsys.readouterr().out
        written = tmp_path / "nets/squeezenet_3d.safetensors"
        network = create_action_network("squeezenet_3d", 5, weights=written)
        first = network.network.features[0]
        assert torch.equal(first.weight, state["features.0.weight"])
        seen = []
        first.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        network.eval()(torch.full((1, 3, 4, 32, 32), 0.2))  # 153 of 255
        mean = torch.tensor([114.7748, 107.7354, 99.4750])  # Kinetics', as the authors give it
        torch.testing.assert_close(seen[0][0, :, 0, 0, 0], 153 - mean, atol=0.05, rtol=0)
        # The folder is checked, and a file that does not fit is reported.
        assert main(["weights", str(tmp_path / "nets")]) == 0
        save_file({"a": torch.zeros(1)}, tmp_path / "nets/s3d.safetensors")
        assert main(["weights", str(tmp_path / "nets")]) == 1
        assert re.search(
            r"^s3d: s3d.safetensors: .*do not fit", capsys.readouterr().out, re.MULTILINE
        )

    def test_the_list_is_whole(self, capsys):
        assert main(["weights"]) == 0
        said = capsys.readouterr().out
        assert "..." not in said
        assert "…" not in said
        for name in (*action_networks(), *privacy_networks()):
            for weights in published_weights(name):
                for text in (weights.address, weights.sha256, f"--convert {name}={weights.name}\n"):
                    assert text in said

    def test_a_folder_that_is_not_there_or_has_none(self, tmp_path, capsys):
        assert main(["weights", str(tmp_path / "nowhere")]) == 1
        assert f"DIR {tmp_path / 'nowhere'}: no such folder\n" in capsys.readouterr().err
        assert main(["weights", str(tmp_path)]) == 1
        assert f"DIR {tmp_path}: no file there is called" in capsys.readouterr().err

    def test_koepueklues_tensors_stand_in_the_networks_order(self, tmp_path):
        flat = create_action_network("shufflenet_v2_3d", 600).network
        state = self.saved(flat, tmp_path / "own.pth")
        file = tmp_path / "kinetics_shufflenetv2_1.0x_RGB_16_best.pth"
        torch.save({"state_dict": {f"module.{n}": v for n, v in enumerate(state.values())}}, file)
        target, _ = convert_weights("shufflenet_v2_3d", file, tmp_path / "nets")
        network = create_action_network("shufflenet_v2_3d", 600, weights=target).network
        assert all(torch.equal(network.state_dict()[k], v) for k, v in state.items())
        torch.save({"state_dict": {"0": torch.zeros(1)}}, file)
        with pytest.raises(MotionveilError, match="holds 1 tensors, the network has"):
            convert_weights("shufflenet_v2_3d", file, tmp_path / "nets")

    def test_another_file_is_refused_before_it_is_read(self, tmp_path):
        for name, fault in (("s3d-d76dad2f.pth", "SHA-256"), ("s3d.pth", "known by its name")):
            (tmp_path / name).write_bytes(pickle.dumps(Bomb()))
            with pytest.raises(MotionveilError, match=fault):
                convert_weights("s3d", tmp_path / name, tmp_path / "nets")
        # Where no hash is published, code in it is not run.
        (tmp_path / "rgb_imagenet.pt").write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(MotionveilError, match="cannot be read as tensors"):
            convert_weights("i3d", tmp_path / "rgb_imagenet.pt", tmp_path / "nets")
        assert not (tmp_path / "nets").exists()

    def test_a_checkpoint_of_another_network_leaves_no_file(self, tmp_path):
        other = create_privacy_network("small2d", 4)
        self.saved(other, tmp_path / "rgb_imagenet.pt", prefix="")
        with pytest.raises(MotionveilError, match=r"rgb_imagenet\.pt: the weights do not fit i3d"):
            convert_weights("i3d", tmp_path / "rgb_imagenet.pt", tmp_path / "nets")
        assert list((tmp_path / "nets").iterdir()) == []


def test_torchvisions_addresses_are_its_own():
    ensure_torchvision()
    from torchvision.models import get_model_weights

    ours = {
        weights.address
        for name in ("r2plus1d_18", "mc3_18", "s3d", "swin3d_t", "mvit_v2_s", "shufflenet_v2")
        for weights in published_weights(name)
    }
    theirs = ("r2plus1d_18", "mc3_18", "s3d", "swin3d_t", "mvit_v2_s", "shufflenet_v2_x1_0")
    assert ours == {get_model_weights(name).DEFAULT.url for name in theirs}


def test_weights_by_network(tmp_path):
    for name in ("s3d", "i3d_of_mine"):
        (tmp_path / f"{name}.safetensors").touch()
    file = tmp_path / "i3d_of_mine.safetensors"
    assert weights_by_network([str(tmp_path), f"i3d={file}"]) == {
        "s3d": str(tmp_path / "s3d.safetensors"),
        "i3d": str(file),
    }
    for given, fault in (
        (f"i4d={file}", "no network 'i4d'"),
        ("i3d=none.safetensors", "no such file none.safetensors"),
        ("none", "no such folder"),
    ):
        with pytest.raises(MotionveilError, match=fault):
            weights_by_network([given])


def test_pretrained_takes_timms_safetensors_from_the_hub(file, monkeypatch):
    ensure_torchvision()
    import timm

    published = timm.create_model("mnasnet_100", num_classes=1000)
    save_file(published.state_dict(), file)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    found = HubFile(file, "timm/mnasnet_100.rmsp_in1k", 40 * "a", digest)
    asked = []
    monkeypatch.setattr(registry, "fetch", lambda *names: asked.append(names) or found)
    network = create_privacy_network("mnasnet_100", 9, weights="pretrained")
    assert asked == [("hf:timm/mnasnet_100.rmsp_in1k", "model.safetensors")]
    assert torch.equal(network.network.conv_stem.weight, published.conv_stem.weight)
    said = source_of_weights("mnasnet_100", "pretrained")
    assert f"commit {40 * 'a'}, SHA-256 {digest}" in said


def test_pinned_weights_are_of_their_commit_and_hash(file, monkeypatch):
    asked = []
    file.write_bytes(b"other bytes")
    found = HubFile(file, "timm/resnet50.tv_in1k", 40 * "a", "")
    monkeypatch.setattr(registry, "fetch", lambda *names: asked.append(names) or found)
    with pytest.raises(MotionveilError, match=r"that of .*resnet50\.tv_in1k begins with 5d061a3c"):
        create_privacy_network("resnet50", 9, weights="pretrained")
    assert re.fullmatch(r"hf:timm/resnet50\.tv_in1k@[0-9a-f]{40}", asked[0][0])


REPOSITORIES = {
    "resnet18": "resnet18.tv_in1k",
    "resnet50": "resnet50.tv_in1k",
    "resnext50_32x4d": "resnext50_32x4d.tv_in1k",
    "wide_resnet50_2": "wide_resnet50_2.tv_in1k",
    "densenet121": "densenet121.tv_in1k",
    "vgg16_bn": "vgg16_bn.tv_in1k",
    "efficientnet_lite0": "tf_efficientnet_lite0.in1k",
    "efficientnet_lite2": "tf_efficientnet_lite2.in1k",
    "efficientnet_b0": "efficientnet_b0.ra_in1k",
    "mobilenet_v3_large": "mobilenetv3_large_100.ra_in1k",
    "mobilenet_v3_small": "mobilenetv3_small_100.lamb_in1k",
    "mnasnet_100": "mnasnet_100.rmsp_in1k",
    "convnext_tiny": "convnext_tiny.fb_in1k",
    "deit_tiny": "deit_tiny_patch16_224.fb_in1k",
    "resnext101_3d": "resnext101_32x4d.gluon_in1k",
    "mobilenet_v2_3d": "mobilenetv2_100.ra_in1k",
}


@pytest.mark.parametrize(("name", "repository"), REPOSITORIES.items())
def test_pretrained_asks_for_a_repository_of_timms(name, repository, monkeypatch):
    assert published_weights(name)[0].hub == f"timm/{repository}"

    def refuse(name, file):
        raise MotionveilError(f"{name}: not now")

    monkeypatch.setattr(registry, "fetch", refuse)
    create = create_action_network if name.endswith("_3d") else create_privacy_network
    with (
        torch.device("meta"),
        pytest.raises(MotionveilError, match=re.escape(f"hf:timm/{repository}") + ".*: not now; "),
    ):
        create(name, 5, weights="pretrained")


def test_a_download_that_fails_says_so(monkeypatch):
    import huggingface_hub

    def no_network(*names, **options):
        raise OSError("no route to host\nand a long story")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", no_network)
    with pytest.raises(MotionveilError, match=r"timm/resnet50\.tv_in1k.*: no route to host; or"):
        create_privacy_network("resnet50", 9, weights="pretrained")


@pytest.mark.parametrize("version", ["lite0", "lite2"])
def test_efficientnet_lite_gives_what_timm_gives_on_bytes(pretrained, version):
    ensure_torchvision()
    import timm

    weights = pretrained / f"tf_efficientnet_{version}_imagenet1k.safetensors"
    ours = create_privacy_network(f"efficientnet_{version}", 1000, weights=weights).eval()
    theirs = timm.create_model(f"tf_efficientnet_{version}").eval()
    theirs.load_state_dict({k: v.float() for k, v in load_file(weights).items()}, strict=True)
    picture = torch.randint(0, 256, (1, 3, 64, 64)).float()
    with torch.no_grad():
        expected = theirs((picture - 127) / 128)
        torch.testing.assert_close(ours(picture / 127.5 - 1), expected, rtol=1e-3, atol=1e-3)


def test_another_efficientnet_does_not_fit(pretrained):
    weights = pretrained / "tf_efficientnet_lite2_imagenet1k.safetensors"
    with pytest.raises(MotionveilError) as caught:
        create_privacy_network("efficientnet_lite0", 5, weights=weights)
    message = str(caught.value)
    assert "unexpected: blocks.1.2.bn1.bias" in message
    assert "wrong shape: blocks.2.0.bn3.bias (48,) instead of (40,)" in message
    assert "'timm tf_efficientnet_lite2, 1000 classes'" in message


def hara_resnet50(state: dict[str, Tensor], x: Tensor) -> Tensor:
    """3D ResNet-50 as Hara's repository describes it, as plain functions of its checkpoint."""

    def norm(x: Tensor, key: str) -> Tensor:
        mean, var = state[f"{key}.running_mean"], state[f"{key}.running_var"]
        return functional.batch_norm(x, mean, var, state[f"{key}.weight"], state[f"{key}.bias"])

    stem = functional.conv3d(x, state["conv1.weight"], stride=(1, 2, 2), padding=3)
    x = functional.max_pool3d(norm(stem, "bn1").relu(), 3, 2, 1)
    for layer, blocks in enumerate((3, 4, 6, 3), start=1):
        for block in range(blocks):
            key = f"layer{layer}.{block}"
            stride = 2 if layer > 1 and block == 0 else 1
            y = norm(functional.conv3d(x, state[f"{key}.conv1.weight"]), f"{key}.bn1").relu()
            y = functional.conv3d(y, state[f"{key}.conv2.weight"], stride=stride, padding=1)
            y = norm(y, f"{key}.bn2").relu()
            y = norm(functional.conv3d(y, state[f"{key}.conv3.weight"]), f"{key}.bn3")
            if block == 0:
                x = functional.conv3d(x, state[f"{key}.downsample.0.weight"], stride=stride)
                x = norm(x, f"{key}.downsample.1")
            x = (x + y).relu()
    return functional.linear(x.mean(dim=(2, 3, 4)), state["fc.weight"], state["fc.bias"])


def hara_checkpoint(classes: int) -> dict[str, Tensor]:
    """Random weights under the keys of Hara's ResNet-50."""
    torch.manual_seed(5)
    state: dict[str, Tensor] = {}

    def conv(key: str, channels_in: int, channels: int, size: int) -> None:
        weight = torch.randn(channels, channels_in, size, size, size)
        state[f"{key}.weight"] = weight * (2 / weight[0].numel()) ** 0.5

    def norm(key: str, channels: int) -> None:
        state[f"{key}.weight"] = torch.rand(channels) + 0.5
        state[f"{key}.bias"] = torch.randn(channels) * 0.1
        state[f"{key}.running_mean"] = torch.randn(channels) * 0.1
        state[f"{key}.running_var"] = torch.rand(channels) + 0.5

    conv("conv1", 3, 64, 7)
    norm("bn1", 64)
    channels_in = 64
    for layer, (blocks, channels) in enumerate(((3, 64), (4, 128), (6, 256), (3, 512)), start=1):
        for block in range(blocks):
            key = f"layer{layer}.{block}"
            conv(f"{key}.conv1", channels_in, channels, 1)
            norm(f"{key}.bn1", channels)
            conv(f"{key}.conv2", channels, channels, 3)
            norm(f"{key}.bn2", channels)
            conv(f"{key}.conv3", channels, channels * 4, 1)
            norm(f"{key}.bn3", channels * 4)
            if block == 0:
                conv(f"{key}.downsample.0", channels_in, channels * 4, 1)
                norm(f"{key}.downsample.1", channels * 4)
            channels_in = channels * 4
    state["fc.weight"] = torch.randn(classes, 2048) * 0.01
    state["fc.bias"] = torch.randn(classes)
    return state


def agree(ours: Tensor, expected: Tensor) -> None:
    scale = expected.abs().max()
    torch.testing.assert_close(ours / scale, expected / scale, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_haras_checkpoint_loads_and_gives_haras_answers(file):
    state = hara_checkpoint(classes=400)
    clip = torch.rand(1, 3, 8, 48, 40)
    mean = torch.tensor([0.4345, 0.4051, 0.3775]).view(1, 3, 1, 1, 1)
    std = torch.tensor([0.2768, 0.2713, 0.2737]).view(1, 3, 1, 1, 1)
    save_file({f"module.{key}": value for key, value in state.items()}, file)
    network = create_action_network("resnet50_3d", 400, weights=file).eval()
    with torch.no_grad():
        agree(network(clip * 2 - 1), hara_resnet50(state, (clip - mean) / std))

    # The checkpoints of 2018 take 0..255 minus a mean; their metadata says so.
    scale = {"input_mean": "[0.45, 0.42, 0.39]", "input_std": "[0.0039, 0.0039, 0.0039]"}
    save_file(state, file, metadata=scale)
    network = create_action_network("resnet50_3d", 400, weights=file).eval()
    mean = torch.tensor([0.45, 0.42, 0.39]).view(1, 3, 1, 1, 1)
    with torch.no_grad():
        agree(network(clip * 2 - 1), hara_resnet50(state, (clip - mean) / 0.0039))


@pytest.mark.parametrize("value", ["0.5", "[0.5, 0.5]", "[0, 0, 0]", "[NaN, 1, 1]", "nonsense"])
def test_a_normalisation_that_cannot_be_used_is_named(file, value):
    ensure_torchvision()
    import timm

    state = timm.create_model("tf_efficientnet_lite0", num_classes=4).state_dict()
    save_file(state, file, metadata={"input_std": value})
    with pytest.raises(MotionveilError, match="input_std is"):
        create_privacy_network("efficientnet_lite0", 4, weights=file)


@pytest.mark.parametrize("kind", [torch.float8_e4m3fn, torch.complex64])
def test_types_that_weights_do_not_have_are_refused(tmp_path: Path, kind: torch.dtype) -> None:
    save_file({"a": torch.zeros(2).to(kind)}, tmp_path / "a.safetensors")
    with pytest.raises(MotionveilError, match=r"a \(torch\..*\)"):
        read_tensors(tmp_path / "a.safetensors")
