"""CoD-Lite's networks: the conformance vectors, the folded form, tiles, and reading weights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import DATA
from make_cod_model import TINY, recipe, tiny_weights, write_tiny
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from diffc.codecs.cod import model
from diffc.codecs.cod.config import CodConfig
from diffc.codecs.cod.convert import write_model
from diffc.codecs.cod.folder import empty_network, read_config, write_folder
from diffc.codecs.cod.model import CodDecoder, CodEncoder
from diffc.codecs.cod.network import CodNetwork
from diffc.codecs.cod.one_step import folded
from diffc.codecs.shared.cod import tokens as coding
from diffc.codecs.shared.cod.condition import GroupNorm, WindowAttention
from diffc.codecs.shared.cod.layers import patch_places
from diffc.codecs.shared.models import load_once
from diffc.codecs.shared.tiling.exact import in_tiles
from diffc.codecs.shared.tiling.picture_means import (
    GatheredMeans,
    Means,
    own_means,
    with_picture_means,
)
from diffc.codecs.shared.tokens.fixed_length import pack, unpack
from diffc.codecs.shared.tokens.vector_quantiser import nearest, words

VECTORS = DATA / "cod_lite"
PUBLISHED = {"ds16_bits8": CodConfig(), "ds32_bits4": CodConfig(stride=32, bits=4)}


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def network_of(config: CodConfig, weights: dict[str, Tensor]) -> CodNetwork:
    network = empty_network(config)
    # the tests' weights are stored in half precision
    network.load_state_dict({k: value.float() for k, value in weights.items()}, assign=True)
    return network.eval()


def tiny(**sizes: Any) -> CodNetwork:
    config = replace(TINY, **sizes)
    return network_of(config, tiny_weights(config))


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


# conformance


@dataclass(frozen=True)
class Vectors:
    config: CodConfig
    shapes: dict[str, list[int]]
    network: CodNetwork
    pixels: Tensor
    stream: bytes
    condition_mean: Tensor
    decoded: Tensor

    @property
    def tokens(self) -> Tensor:
        rows, columns = (side // self.config.stride for side in self.pixels.shape[2:])
        return unpack(self.stream, (rows, columns), self.config.bits)

    def condition(self) -> Tensor:
        codec = self.network.y_embedder
        made: Tensor = codec.decoder(words(self.tokens[None], codec.codebook))
        return made


@pytest.fixture(scope="module", params=PUBLISHED)
def vectors(request: pytest.FixtureRequest) -> Vectors:
    name, config = request.param, PUBLISHED[request.param]
    shapes = json.loads((VECTORS / f"{name}.state_dict.json").read_text())
    with Image.open(VECTORS / f"{name}.png") as picture:
        pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    return Vectors(
        config,
        shapes,
        network_of(config, recipe(shapes)),
        pixels,
        bytes.fromhex(json.loads((VECTORS / f"{name}.json").read_text())["stream"]),
        torch.from_numpy(np.load(VECTORS / f"{name}.cond_mean.npy")),
        torch.from_numpy(np.load(VECTORS / f"{name}.decoded.npy")),
    )


def test_names_and_shapes_of_weights_are_the_published_ones(vectors: Vectors) -> None:
    found = {key: list(value.shape) for key, value in vectors.network.state_dict().items()}
    assert found == vectors.shapes


def test_the_stream_is_the_published_one(vectors: Vectors) -> None:
    codec = vectors.network.y_embedder
    tokens = nearest(codec.encoder(vectors.pixels), codec.codebook)
    assert pack(tokens, vectors.config.bits) == vectors.stream


def test_the_condition_is_the_published_one(vectors: Vectors) -> None:
    torch.testing.assert_close(
        vectors.condition().mean(1), vectors.condition_mean, rtol=0, atol=1e-4
    )


def test_the_picture_is_the_published_one(vectors: Vectors) -> None:
    nothing = torch.zeros_like(vectors.pixels)
    made = vectors.network(nothing, torch.zeros(1), vectors.condition())[0]
    torch.testing.assert_close(made, vectors.decoded, rtol=0, atol=1e-4)


def test_the_picture_of_the_folded_form_is_the_published_one(vectors: Vectors) -> None:
    made = folded(vectors.network)(vectors.condition().permute(0, 2, 3, 1))[0]
    torch.testing.assert_close(made, vectors.decoded, rtol=0, atol=1e-4)


# the networks' parts


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_every_stride_has_its_grid_and_a_condition_for_each_patch(stride: int) -> None:
    network = tiny(stride=stride)
    vectors = network.y_embedder.encoder(torch.rand(1, 3, 96, 64))
    assert vectors.shape == (1, TINY.code_length, 96 // stride, 64 // stride)
    condition = network.y_embedder.decoder(vectors)
    assert condition.shape == (1, TINY.width, 6, 4)


@pytest.mark.parametrize("patch_blocks", [0, 1, 3])
def test_folding_changes_nothing_but_rounding(patch_blocks: int) -> None:
    network = tiny(patch_blocks=max(1, patch_blocks), pixel_blocks=1 + patch_blocks)
    for name, value in network.named_parameters():
        # biases and scales that are far from what the recipe gives
        if value.dim() == 1:
            value.add_(0.5 * random(len(value), seed=len(name)))
    condition = random(1, TINY.width, 3, 5)
    plain = network(torch.zeros(1, 3, 48, 80), torch.zeros(1), condition)
    made = folded(network)(condition.permute(0, 2, 3, 1))
    torch.testing.assert_close(made, plain, rtol=1e-4, atol=1e-5)
    later = network(torch.zeros(1, 3, 48, 80), torch.ones(1), condition)
    assert float((later - plain).abs().max()) > 1e-3


def test_places_in_a_patch_are_damped_cosines() -> None:
    places = patch_places(8).reshape(16, 16, 8, 8)
    row, column, along_row, along_column = 3, 11, 5, 2
    step = 8 / 7
    wanted = (
        np.cos(np.pi * column / 15 * along_row * step)
        * np.cos(np.pi * row / 15 * along_column * step)
        / (1 + along_row * step * along_column * step)
    )
    assert float(places[row, column, along_row, along_column]) == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("size", [(5, 7), (64, 33)])
def test_group_norm_is_that_of_torch(size: tuple[int, int]) -> None:
    norm = GroupNorm(4, 8)
    norm.weight.copy_(random(8))
    norm.bias.copy_(random(8, seed=2))
    # a mean that is large beside the deviation, for cancellation
    x = random(1, 8, *size) + 30
    wanted = F.group_norm(x.double(), 4, norm.weight.double(), norm.bias.double(), 1e-6)
    torch.testing.assert_close(norm(x).double(), wanted, rtol=1e-3, atol=1e-3)
    half = norm(x.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.double(), wanted, rtol=0.1, atol=0.5)


def attended(layer: WindowAttention, x: Tensor) -> Tensor:
    """Attend among all positions, as the formula says."""
    normal = layer.norm(x)
    query, key, value = (each(normal)[0].flatten(1) for each in (layer.q, layer.k, layer.v))
    weights = torch.softmax(query.T @ key / len(query) ** 0.5, dim=1)
    found: Tensor = layer.proj_out((value @ weights.T).reshape(x.shape))
    return x + found


def test_attention_of_one_window_is_the_formula() -> None:
    layer = WindowAttention(8, 4, 8)
    x = random(1, 8, 8, 5)
    torch.testing.assert_close(layer(x), attended(layer, x), rtol=1e-4, atol=1e-5)


def test_attention_stays_in_its_window() -> None:
    layer = WindowAttention(8, 4, 4)
    x = random(1, 8, 8, 12)
    gathered, take_down = as_whole(x)
    before = layer(x, take_down)
    x[:, :, 4:, 4:8] += random(1, 8, 4, 4, seed=3)
    changed = (layer(x, gathered.for_all()) != before).any(1)[0]
    assert bool(changed[4:, 4:8].all())
    assert int(changed.sum()) == 16


def test_windows_that_stick_out_repeat_the_border() -> None:
    layer = WindowAttention(8, 4, 4)
    x = random(1, 8, 4, 6)
    gathered, take_down = as_whole(x)
    made = layer(x, take_down)
    repeated = F.pad(x, (0, 2, 0, 0), mode="replicate")
    wanted = layer(repeated, gathered.for_all())[..., :6]
    torch.testing.assert_close(made, wanted, rtol=1e-5, atol=1e-5)


# number formats and threads


@pytest.mark.parametrize("threads", [2, 3])
def test_vectors_do_not_depend_on_the_number_of_threads(tmp_path: Path, threads: int) -> None:
    encoder = CodEncoder(write_tiny(tmp_path / "model"), "cpu")
    pixels = torch.rand(1, 3, 304, 400, generator=torch.Generator().manual_seed(1))
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        one = encoder.vectors(pixels)
        torch.set_num_threads(threads)
        assert torch.equal(encoder.vectors(pixels), one)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("stride", [4, 32])
def test_bfloat16_is_close_to_float32(tmp_path: Path, stride: int) -> None:
    folder = write_tiny(tmp_path / "model", stride)
    tokens = torch.arange(96).reshape(8, 12) * 7 % 16
    exact, fast = (
        CodDecoder(folder, "cpu", dtype).picture(tokens)
        for dtype in (torch.float32, torch.bfloat16)
    )
    assert exact.dtype == fast.dtype == torch.float32
    assert 0 < float((fast - exact).abs().max()) < 0.1
    assert float((fast - exact).std()) < 0.02 * float(exact.std())


# tiles


def centred(part: Tensor, means: Means) -> Tensor:
    """Take away the mean over the picture, twice."""
    part = part.permute(0, 2, 3, 1)
    for _ in range(2):
        part = part - means(part, lambda part: part.mean((1, 2), keepdim=True))
    return part.permute(0, 3, 1, 2)


def test_tiles_have_the_means_of_the_picture() -> None:
    latent = random(1, 2, 7, 41) + torch.linspace(0, 9, 41)
    made = with_picture_means(centred, latent, largest=10, margin=1)
    torch.testing.assert_close(made, latent - latent.mean((2, 3), keepdim=True))
    alone = in_tiles(lambda part: centred(part, own_means), latent, largest=10, margin=1, scale=1)
    assert float((alone - made).abs().max()) > 1


def test_a_picture_no_larger_than_a_tile_is_made_in_one_piece() -> None:
    shapes = []

    def network(part: Tensor, means: Means) -> Tensor:
        shapes.append(tuple(part.shape[2:]))
        return part

    with_picture_means(network, torch.zeros(1, 1, 4, 36), largest=10, margin=1)
    assert shapes == [(4, 36)]
    with_picture_means(network, torch.zeros(1, 1, 4, 37), largest=10, margin=1)
    assert shapes[1:] == 2 * [(4, 11), (4, 12), (4, 12), (4, 8)]


def as_whole(latent: Tensor) -> tuple[GatheredMeans, Means]:
    """Return what gathers the means of a picture, and what takes them down."""
    gathered = GatheredMeans()
    height, width = latent.shape[2:]
    return gathered, gathered.of_tile((height, width), slice(0, height), slice(0, width))


def whole_and_tiled(
    network: Callable[[Tensor, Means], Tensor], latent: Tensor, largest: int, margin: int
) -> tuple[Tensor, Tensor]:
    """Return what a network makes in one piece, and in tiles that are given its means."""
    gathered, take_down = as_whole(latent)
    whole = network(latent, take_down)
    tiled = in_tiles(
        lambda part: network(part, gathered.for_all()),
        latent,
        largest=largest,
        margin=margin,
        scale=1,
    )
    return whole, tiled


@pytest.mark.parametrize("stride", [4, 16, 32])
def test_the_trunk_sees_no_further_than_its_margin(stride: int) -> None:
    encoder = tiny(stride=stride).y_embedder.encoder

    def trunk(blocks: Tensor, means: Means) -> Tensor:
        return encoder.trunk(F.pixel_shuffle(blocks, stride), means)

    pixels = F.pixel_unshuffle(random(1, 3, 64, 1024), stride)
    margin = coding.TRUNK_MARGIN // stride
    whole, tiled = whole_and_tiled(trunk, pixels, 256 // stride, margin)
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-5)
    whole, tiled = whole_and_tiled(trunk, pixels, 256 // stride, 32 // stride)
    assert float((tiled - whole).abs().max()) > 1e-3


def test_a_patch_sees_one_patch_further_with_each_block() -> None:
    network = folded(tiny(patch_blocks=3))

    def patches(part: Tensor, means: Means) -> Tensor:
        return network.patches(part.permute(0, 2, 3, 1), means).permute(0, 3, 1, 2)

    condition = random(1, TINY.width, 5, 40)
    whole, tiled = whole_and_tiled(patches, condition, 10, 3)
    torch.testing.assert_close(tiled, whole, rtol=1e-4, atol=1e-5)
    whole, tiled = whole_and_tiled(patches, condition, 10, 1)
    assert float((tiled - whole).abs().max()) > 1e-4


def along_borders(difference: Tensor, spacing: int) -> float:
    """Return how much larger a difference is in patches at the borders of tiles than elsewhere."""
    columns = difference.abs().mean((0, 1, 2))
    place = torch.arange(len(columns)) % spacing
    beside = (place == 0) | (place == spacing - 1)
    return float(columns[beside].mean() / columns[~beside].mean())


@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_tiles_of_the_decoder_leave_no_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stride: int
) -> None:
    config = replace(TINY, stride=stride, window=8)
    write_folder(tiny_weights(config), config, tmp_path / "model")
    decoder = CodDecoder(tmp_path / "model", "cpu", torch.float32)
    tokens = torch.randint(0, 16, (16, 160), generator=torch.Generator().manual_seed(2))
    whole = decoder.condition(tokens)
    monkeypatch.setattr(coding, "GRID_TILE", 2)
    difference = decoder.condition(tokens) - whole
    assert 1e-4 < float(difference.std() / whole.std()) < 0.05
    # tiles of two windows are as many patches wide as a token has pixels
    assert along_borders(difference, stride) < 1.25


def test_tiles_of_the_encoder_change_few_tokens(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = CodEncoder(write_tiny(tmp_path / "model"), "cpu", torch.float32)
    noise = random(1, 3, 40, 80)
    pixels = F.interpolate(noise, size=(640, 1280), mode="bicubic").clamp(0, 1)
    whole = encoder.tokens(pixels)
    monkeypatch.setattr(coding, "TRUNK_TILE", 256)
    monkeypatch.setattr(coding, "GRID_TILE", 4)
    tiled = encoder.tokens(pixels)
    assert tiled.shape == whole.shape == (40, 80)
    assert 0.95 < float((tiled == whole).float().mean()) < 1


# folders and checkpoints


def test_halves_of_a_model_are_those_of_the_network(tmp_path: Path) -> None:
    folder, network = write_tiny(tmp_path / "model"), tiny()
    encoder, decoder = (kind(folder, "cpu", torch.float32) for kind in (CodEncoder, CodDecoder))
    assert encoder.config == decoder.config == TINY
    pixels = torch.rand(1, 3, 64, 96, generator=torch.Generator().manual_seed(4))
    vectors = network.y_embedder.encoder(pixels)
    torch.testing.assert_close(encoder.vectors(pixels), vectors, rtol=1e-4, atol=1e-5)
    tokens = nearest(vectors, network.y_embedder.codebook)[0]
    assert torch.equal(encoder.tokens(pixels), tokens)
    condition = network.y_embedder.decoder(words(tokens[None], network.y_embedder.codebook))
    plain = network(torch.zeros_like(pixels), torch.zeros(1), condition)
    torch.testing.assert_close(decoder.picture(tokens), plain, rtol=1e-3, atol=1e-4)


LACKING, WRONG = "blocks.1.conv2.bias", "y_embedder.decoder.conv_in.weight"


def changed(change: str) -> dict[str, Tensor]:
    weights = tiny_weights(TINY)
    if change == "lacks":
        del weights[LACKING]
    elif change == "has no place for":
        weights["blocks.9.conv2.bias"] = torch.zeros(3)
    else:
        weights[WRONG] = weights[WRONG][:, :3].contiguous()
    return weights


FAULTS = {
    "lacks": rf"lacks {LACKING}: convert",
    "has no place for": r"has no place for blocks\.9\.conv2\.bias: convert",
    "shape": rf"has {WRONG} of shape \(16, 3, 3, 3\) for \(16, 4, 3, 3\)",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_weights_are_complete_or_refused_by_name(tmp_path: Path, fault: str) -> None:
    with pytest.raises(ValueError, match=FAULTS[fault]):
        write_folder(changed(fault), TINY, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    folder = write_tiny(tmp_path / "model")
    save_file(changed(fault), folder / "cod.safetensors")
    for load in (model.CodEncoder, model.CodDecoder):
        with pytest.raises(OSError, match=FAULTS[fault]):
            load_once(load, folder, "cpu")


@pytest.mark.parametrize(
    ("sizes", "says"),
    [
        ({"stride": 64}, "stride of a CoD network is 4, 8, 16 or 32, not 64"),
        ({"bits": 17}, "bits of a CoD network is a whole number from 1 to 16, not 17"),
        ({"width": 10**9}, "from 1 to 8192"),
        ({"width": True}, "not True"),
        ({"groups": 5}, "width of a CoD network is a multiple of its 5 groups"),
        ({"colour": 3}, "colour"),
    ],
)
def test_a_configuration_out_of_range_is_no_model(
    tmp_path: Path, sizes: dict[str, Any], says: str
) -> None:
    folder = write_tiny(tmp_path / "model")
    config = {"kind": "cod", "cod": asdict(TINY) | sizes}
    (folder / "config.json").write_text(json.dumps(config))
    with pytest.raises(OSError, match=f"is no CoD model .*{says}"):
        read_config(folder)


@pytest.mark.parametrize("prefix", ["", "net."])
@pytest.mark.parametrize("stride", [4, 8, 16, 32])
def test_sizes_of_a_checkpoint_are_read_off_its_weights(
    tmp_path: Path, prefix: str, stride: int
) -> None:
    sizes = replace(TINY, stride=stride, width=32, encoder_width=32, groups=32, window=32)
    weights = {f"{prefix}{name}": value for name, value in tiny_weights(sizes).items()}
    if prefix:
        weights["discriminator.head.weight"] = torch.zeros(3)
    given = {"ds": stride, "codebook_bits": 4, "noise_level": 0.0, "fix_encoder": True}
    write_model(weights, given, tmp_path / "model")
    assert read_config(tmp_path / "model") == sizes
    assert CodDecoder(tmp_path / "model", "cpu").picture(torch.zeros(8, 8, dtype=int)).dim() == 4


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"ds": 32}, "ds of this checkpoint is 16 for the codec, and its configuration says 32"),
        ({"noise_level": 1.0}, "noise_level"),
        ({"up2x": False}, "up2x"),
        ({"num_blocks": 9}, "num_blocks of this checkpoint is 4"),
    ],
)
def test_a_checkpoint_and_its_configuration_agree(
    tmp_path: Path, given: dict[str, Any], says: str
) -> None:
    sizes = replace(TINY, width=32, encoder_width=32, groups=32)
    with pytest.raises(ValueError, match=says):
        write_model(tiny_weights(sizes), given, tmp_path / "model")


@pytest.mark.parametrize("weights", [{}, {"net.weight": torch.zeros(3)}, {"a": torch.zeros(())}])
def test_other_checkpoints_are_refused(tmp_path: Path, weights: dict[str, Tensor]) -> None:
    with pytest.raises(
        ValueError, match="are those of a CoD or CoD-Lite network, which these are not"
    ):
        write_model(weights, {}, tmp_path / "model")
