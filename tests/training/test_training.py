"""Training: packed photos, resuming, the time limit, and an exported model that codes."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import diffc
from diffc.codecs.relay.model import restoring_weights
from diffc.codecs.relay.network import FAMILIES
from diffc.codecs.relay.training import RelaySettings
from diffc.codecs.relay.training_data import LEAST_LEVEL, Degraded, DegradedCrops, prepare
from diffc.codecs.shared.latents.training import DenoiserSettings, SynthesisSettings
from diffc.codecs.training.__main__ import main, offered_stages
from diffc.codecs.training.graphics import draw
from diffc.codecs.training.loop import LoopSettings, learning_rate_scale
from diffc.codecs.training.perceptual import PerceptualDistance, compare_drawings
from diffc.codecs.training.photos import Crops, pack, photos
from diffc.codecs.training.presets import Preset, read_preset
from diffc.codecs.training.run import TrainingStage, in_order

PRESET = """
seed = 1
[basis]
channels = 16
crops = 16
crop = 64
[denoiser]
batch = 2
crop = 64
steps = {steps}
learning_rate = 6e-4
[denoiser.network]
channels = 16
width = 16
inner_width = 16
outer_blocks = 1
inner_blocks = 1
embedding = 8
[synthesis]
estimates = 3
estimate_crop = 128
batch = 2
detailed = 1
crop = 64
steps = {steps}
learning_rate = 4e-4
[synthesis.network]
channels = 16
widths = [16, 8, 8]
blocks = [1, 1, 1]
embedding = 8
smoothing = 4
[synthesis.detail]
widths = [8, 8, 8, 8]
blocks = [1, 1]
embedding = 8
[synthesis.losses]
[perco-synthesis]
estimates = 3
estimate_crop = 128
batch = 2
detailed = 1
crop = 64
steps = {steps}
learning_rate = 4e-4
[perco-synthesis.network]
channels = 16
widths = [16, 8, 8]
blocks = [1, 1, 1]
embedding = 8
smoothing = 4
[perco-synthesis.detail]
widths = [8, 8, 8, 8]
blocks = [1, 1]
embedding = 8
[perco-synthesis.losses]
[relay]
variants = 2
drawings = 3
batch = 2
detailed = 1
crop = 64
steps = {steps}
learning_rate = 4e-4
[relay.shares]
av1 = 0.5
jpeg-420 = 0.3
other = 0.2
[relay.network]
widths = [8, 8, 16]
blocks = [1, 1, 1]
detail_widths = [8, 8, 8, 8]
detail_blocks = [1, 1]
embedding = 8
[relay.losses]
[tokens]
batch = 2
crop = 128
steps = {steps}
learning_rate = 1e-3
[tokens.network]
channels = 16
fine_width = 8
width = 8
global_words = 8
coarse_words = 8
middle_words = 8
fine_words = 8
fine_grids = 2
embedding = 4
[tokens.control]
embedding = 8
gains = 2
inner_additions = 1
[tokens.losses]
prefixes = [1.0, 1.0, 1.0, 1.0]
[distil]
batch = 1
crop = 128
steps = {steps}
learning_rate = 1e-3
[distil.losses]
prefixes = [1.0, 1.0, 1.0, 1.0]
[index]
batch = 64
crop = 128
steps = {steps}
learning_rate = 1e-3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photos, a preset and perceptual weights to train from."""
    pictures = tmp_path / "photos"
    pictures.mkdir()
    for index in range(2):
        noise = Image.effect_noise((200, 180), 80 + index)
        Image.merge("RGB", (noise, noise.rotate(90, expand=False), noise)).save(
            pictures / f"{index}.jpg"
        )
    generator = torch.Generator().manual_seed(0)
    widths = {"conv0": (3, 3, 1)}
    layers = "conv11 conv12 conv21 conv22 conv31 conv32 conv33 conv34 conv41 conv42"
    before = 3
    for layer in layers.split():
        widths[layer] = (before, 4, 3)
        before = 4
    weights = {}
    for layer, (inputs, outputs, kernel) in widths.items():
        shape = (outputs, inputs, kernel, kernel)
        weights[f"{layer}.weight"] = torch.randn(shape, generator=generator) * 0.3
        weights[f"{layer}.bias"] = torch.zeros(outputs)
    save_file(weights, tmp_path / "perceptual.safetensors")
    return tmp_path


def train(folder: Path, run: str, steps: int, *more: str) -> int:
    preset = folder / f"{steps}.toml"
    preset.write_text(PRESET.format(steps=steps))
    return main(
        [
            str(folder / run),
            *("--photos", str(folder / "photos")),
            *("--preset", str(preset)),
            *("--perceptual-weights", str(folder / "perceptual.safetensors")),
            *more,
        ]
    )


def test_one_command_trains_a_model_that_codes(
    folder: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = ("--model", str(folder / "model"), "--relay-model", str(folder / "relay"))
    models += ("--perco-model", str(folder / "perco"))
    monkeypatch.setenv("DIFFC_MODELS", str(folder))
    assert train(folder, "run", 4, *models) == 0
    assert json.loads((folder / "model" / "config.json").read_text())["kind"] == "patch"
    assert list((folder / "run" / "denoiser").glob("step-*.png"))
    checkpoint = load_file(folder / "run" / "distil" / "checkpoint.safetensors")
    # of the tokens nothing may change: the index model and files were made with them
    assert {key.split("/")[0] for key in checkpoint} == {"control", "generator"}
    before = load_file(folder / "run" / "tokens" / "checkpoint.safetensors")
    additions = "averaged.control.of_picture.weight", "averaged.of_picture.weight"
    assert not torch.equal(before[f"tokens/{additions[0]}"], checkpoint[f"control/{additions[1]}"])
    for codec, name in (("ddcm", "model"), ("relay", "relay"), ("perco", "perco")):
        data = diffc.encode(photo, backend=codec, quality=30, model=str(folder / name))
        with diffc.decoding(model=folder / name):
            assert diffc.decode(data).size == photo.size


def test_bases_stand_beside_their_photos(folder: Path) -> None:
    shards = pack(sorted((folder / "photos").iterdir()), folder / "shards")
    shares = {"av1": 0.4, "jpeg-420": 0.2, "webp": 0.2, "other": 0.2}
    originals = list(photos(shards, scales=(1.0,)))
    prepare(originals, folder / "data", families=shares, variants=3, seed=4, drawings=1)
    data = Degraded(folder / "data")
    assert len(data.photos) == 3
    assert data.graphics == {2}
    for photo, original in zip(data.photos, originals, strict=False):
        assert (data.array(photo) == original[:, :176, :192].permute(1, 2, 0).numpy()).all()
    assert sorted(base.family for base in data.bases if base.photo == 0) == ["av1"] * 3 + ["webp"]
    for base in data.bases:
        assert base.scale in (1.0, 1.5, 2.0, 3.0)
        photo = data.photos[base.photo]
        assert base.width == round(photo.width / base.scale)
        if base.scale == 1:
            error = data.array(photo).astype(float) - data.array(base)
            expected = max(float((error**2).mean() ** 0.5) / 127.5, LEAST_LEVEL)
            assert base.level == pytest.approx(expected, rel=1e-4)
    crops = DegradedCrops(data, 64, torch.Generator().manual_seed(0), shares=shares)
    batch = crops.batch(12)
    assert batch.photo.shape == batch.base.shape == (12, 3, 64, 64)
    known = batch.condition
    assert known.level.shape == known.scale.shape == known.family.shape == (12,)
    assert {FAMILIES[number] for number in known.family.tolist()} <= set(shares)
    error = (batch.photo - batch.base).square().mean((1, 2, 3)).sqrt()
    # of a crop, not of the picture that the level is of
    assert bool((error < 6 * known.level).all())
    assert float(error.max()) > 0
    with pytest.raises(ValueError, match="at least 960"):
        DegradedCrops(data, 960, torch.Generator(), shares=shares)
    with pytest.raises(ValueError, match="no bases of 'hevc'"):
        DegradedCrops(data, 64, torch.Generator(), shares={"hevc": 1.0})


def test_drawings_are_the_same_for_a_seed() -> None:
    first, again, other = (draw(random.Random(seed), (160, 96)) for seed in ("a", "a", "b"))
    assert first.tobytes() == again.tobytes() != other.tobytes()
    assert first.size == (160, 96)


def test_a_stopped_run_goes_on_where_it_was(folder: Path) -> None:
    stages = ("denoiser", "synthesis", "relay", "tokens", "distil")
    assert train(folder, "whole", 4, "--stages", *stages) == 0
    # no time at all is one step at a time
    for _ in range(3):
        assert train(folder, "parts", 4, "--stages", "denoiser", "--minutes", "0") == 3
    assert train(folder, "parts", 4, "--stages", "denoiser", "synthesis") == 0
    for _ in range(3):
        assert train(folder, "parts", 4, "--stages", "relay", "--minutes", "0") == 3
    assert train(folder, "parts", 4, "--stages", "relay") == 0
    for _ in range(3):
        assert train(folder, "parts", 4, "--stages", "tokens", "--minutes", "0") == 3
    assert train(folder, "parts", 4, "--stages", "tokens") == 0
    for _ in range(3):
        assert train(folder, "parts", 4, "--stages", "distil", "--minutes", "0") == 3
    assert train(folder, "parts", 4, "--stages", "distil") == 0
    for stage in stages:
        whole = load_file(folder / "whole" / stage / "checkpoint.safetensors")
        parts = load_file(folder / "parts" / stage / "checkpoint.safetensors")
        assert whole.keys() == parts.keys()
        assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_run_begins_with_given_weights(folder: Path) -> None:
    model = folder / "start"
    stages = ("--stages", "relay", "export-relay", "--relay-model", str(model))
    assert train(folder, "first", 2, *stages) == 0
    assert train(folder, "second", 1, "--stages", "relay", "--relay-start", str(model)) == 0
    made = load_file(folder / "second" / "relay" / "checkpoint.safetensors")
    for name, value in restoring_weights(model).items():
        # one update of Adam, at a learning rate of 4e-4
        assert float((made["/module.".join(name.split(".", 1))] - value).abs().max()) < 1e-3


def test_drawings_are_judged_by_their_features(folder: Path) -> None:
    distance = PerceptualDistance(folder / "perceptual.safetensors")
    generator = torch.Generator().manual_seed(0)
    photo, first, second = torch.rand((3, 2, 3, 64, 64), generator=generator) * 2 - 1

    def judged(*drawings: torch.Tensor) -> list[float]:
        same_view = torch.Generator().manual_seed(1)
        return [float(x) for x in compare_drawings(distance, torch.cat(drawings), photo, same_view)]

    nothing = judged(photo, photo)
    assert max(nothing) < 0.01
    error, spread = judged(first, second)
    assert error > 0.05
    assert spread > 0.05
    one_sided, half = judged(photo, first)
    assert one_sided == pytest.approx(half / 2, rel=0.05)
    assert judged(first, first)[1] < 0.01


def test_shards_hold_the_photos_own_bytes(folder: Path) -> None:
    paths = sorted((folder / "photos").iterdir())
    shards = pack(paths, folder / "shards")
    found = list(photos(shards, scales=(1.0,)))
    assert [tuple(picture.shape) for picture in found] == [(3, 180, 200)] * 2
    with Image.open(paths[0]) as image:
        assert found[0].permute(1, 2, 0).numpy().tobytes() == image.convert("RGB").tobytes()
    crops = Crops(found, 64, torch.Generator().manual_seed(0))
    batch = crops.batch(3)
    assert batch.shape == (3, 3, 64, 64)
    assert -1 <= float(batch.min()) < float(batch.max()) <= 1
    with pytest.raises(ValueError, match="at least 999"):
        Crops(found, 999, torch.Generator())


def test_the_learning_rate_warms_up_and_ends_at_zero() -> None:
    settings = LoopSettings(steps=100, warmup=10, decay_from=0.6)
    scales = [learning_rate_scale(step, settings) for step in range(101)]
    assert scales[0] == pytest.approx(0.1)
    assert scales[20] == scales[59] == 1
    assert scales[60:] == sorted(scales[60:], reverse=True)
    assert scales[100] == pytest.approx(0)


@pytest.mark.parametrize("name", ["cpu", "gpu"])
def test_presets_are_complete(name: str) -> None:
    preset = read_preset(name)
    stages = offered_stages()
    used = {table for stage in stages for table in stage.tables}
    # the stage of CompressAI's layers is offered where they are installed
    assert used | {"compressai"} == set(preset.tables)
    for stage in stages:
        for table, kind in stage.tables.items():
            assert isinstance(preset.settings(table, kind), kind)
    relay = preset.settings("relay", RelaySettings)
    assert relay.detailed <= relay.batch
    assert set(relay.shares) == set(FAMILIES)
    assert sum(relay.shares.values()) == pytest.approx(1)
    networks = (preset.settings("denoiser", DenoiserSettings).network,)
    networks += (preset.settings("synthesis", SynthesisSettings).network,)
    assert {network.channels for network in networks} == {128}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"widht": 3}, r"\[denoiser\] of the preset has no key 'widht'"),
        ({"batch": None}, r"\[denoiser\] of the preset needs the key 'batch'"),
        ({"network": 3}, r"\[denoiser.network\] of the preset is a table, not 3"),
        ({"network": {"width": 3, "depth": 4}}, r"\[denoiser.network\] .* no key 'depth'"),
    ],
)
def test_a_wrong_table_is_named(changes: dict[str, object], words: str) -> None:
    table = read_preset("cpu").tables["denoiser"] | changes
    kept = {key: value for key, value in table.items() if value is not None}
    with pytest.raises(ValueError, match=words):
        Preset(1, {"denoiser": kept}).settings("denoiser", DenoiserSettings)


def test_a_table_that_is_missing_is_named() -> None:
    with pytest.raises(ValueError, match=r"no table \[denoiser\]"):
        Preset(1, {}).settings("denoiser", DenoiserSettings)


def test_stages_come_after_those_they_need() -> None:
    def stage(name: str, *needs: str) -> TrainingStage:
        return TrainingStage(name, lambda run: True, needs=needs)

    stages = {"c": stage("c", "b"), "a": stage("a"), "b": stage("b", "a"), "d": stage("d")}
    assert [each.name for each in in_order(stages)] == ["a", "b", "c", "d"]
    with pytest.raises(ValueError, match="never come"):
        in_order({"a": stage("a", "b"), "b": stage("b", "a")})
    names = [each.name for each in offered_stages()]
    assert names.index("synthesis") < names.index("tokens") < names.index("export-perco")
    assert names.index("relay") < names.index("export-relay")


def test_perceptual_weights_are_asked_for_at_once(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(folder / "run"), "--photos", str(folder / "photos")]
    with pytest.raises(SystemExit):
        main([*arguments, "--stages", "denoiser", "synthesis"])
    assert "the stage synthesis needs --perceptual-weights" in capsys.readouterr().err
    assert not (folder / "run").exists()


def test_an_unknown_preset_is_an_error() -> None:
    with pytest.raises(ValueError, match="'tpu'"):
        read_preset("tpu")
