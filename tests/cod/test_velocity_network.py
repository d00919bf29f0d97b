"""CoD's velocity networks: the conformance vectors, and what their layers promise."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from cod_vectors import CONFIGS, PUBLISHED, empty, noise, shapes_of, vectors_of
from torch import Tensor

from diffc.codecs.shared.cod.sizes import VelocityConfig
from diffc.codecs.shared.cod.velocity_model import PixelValues, VelocityModel
from diffc.codecs.shared.cod.velocity_network import rotated, rotation_of
from diffc.codecs.shared.diffusion.denoisers import PURE_NOISE, flow_sigma
from diffc.codecs.shared.tokens.fixed_length import pack
from diffc.codecs.shared.tokens.vector_quantiser import nearest


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def close(made: Tensor, wanted: Tensor) -> None:
    torch.testing.assert_close(made, wanted, rtol=0, atol=1e-4)


def model_of(name: str) -> VelocityModel:
    # no test here asks for pixels
    return VelocityModel(vectors_of(name).network, "cpu", torch.float32, PixelValues())


@pytest.mark.parametrize("name", PUBLISHED)
def test_names_and_shapes_of_weights_are_the_published_ones(name: str) -> None:
    found = {key: list(value.shape) for key, value in empty(PUBLISHED[name]).state_dict().items()}
    assert found == shapes_of(f"published_{name}")


@pytest.mark.parametrize("name", CONFIGS)
def test_streams_are_the_published_ones(name: str) -> None:
    vectors = vectors_of(name)
    codec = vectors.network.y_embedder
    pictures = {"stream": vectors.pixels, "uncond_stream": torch.full_like(vectors.pixels, -1)}
    for stream, pixels in pictures.items():
        if stream in vectors.facts:
            tokens = nearest(codec.encoder(pixels), codec.codebook)
            assert pack(tokens, vectors.config.bits).hex() == vectors.facts[stream]


@pytest.mark.parametrize("name", CONFIGS)
def test_conditions_are_the_published_ones(name: str) -> None:
    vectors = vectors_of(name)
    for stream, mean in {"stream": "cond_mean", "uncond_stream": "uncond_mean"}.items():
        if stream in vectors.facts:
            close(vectors.condition(stream).mean(1), vectors.array(mean))


@pytest.mark.parametrize(
    ("name", "time", "stream"),
    [
        ("pixel", 0.3, "stream"),
        ("latent", 0.3, "stream"),
        ("latent", 0.3, "uncond_stream"),
        ("latent", 0.85, "stream"),
        ("latent", 0.85, "uncond_stream"),
    ],
)
def test_velocities_are_the_published_ones(name: str, time: float, stream: str) -> None:
    vectors = vectors_of(name)
    noisy = noise("x_t", vectors.state_shape)
    made = vectors.network(noisy, torch.tensor([time]), vectors.condition(stream))[0]
    which = stream.removesuffix("stream").removesuffix("_") or "cond"
    close(made, vectors.array(f"v_t{time}_{which}"))


def test_a_batch_is_its_pictures() -> None:
    vectors = vectors_of("latent")
    noisy = noise("x_t", (2, *vectors.state_shape[1:]))
    conditions = torch.cat([vectors.condition("stream"), vectors.condition("uncond_stream")])
    times = torch.tensor([0.3, 0.85])
    both = vectors.network(noisy, times, conditions)
    for each in range(2):
        part = slice(each, each + 1)
        close(both[part], vectors.network(noisy[part], times[part], conditions[part]))


def test_queries_and_keys_know_their_distance_alone() -> None:
    angles = rotation_of(3, 5, 8)
    query, key = noise("query", (8,)), noise("key", (8,))
    turned = (rotated(each.expand(1, 1, 15, 8), angles)[0, 0] for each in (query, key))
    products = next(turned) @ next(turned).T
    grid = products.reshape(3, 5, 3, 5)
    # one column to the right, and two rows down, from everywhere
    close(grid[0, 0, 0, 1], grid[2, 3, 2, 4])
    close(grid[0, 1, 2, 1], grid[0, 4, 2, 4])
    close(grid[1, 1, 1, 1], query @ key)
    assert abs(float(grid[0, 0, 0, 1] - grid[0, 0, 1, 0])) > 1e-3


def test_a_picture_spans_sixteen_whatever_its_size() -> None:
    for rows, columns in ((1, 1), (1, 7), (4, 2)):
        cosines, _ = rotation_of(rows, columns, 4)
        right = 16.0 if columns > 1 else 0.0
        down = 16.0 if rows > 1 else 0.0
        # the frequency of the first pairs is 1
        close(cosines[-1], torch.tensor([math.cos(right), math.cos(down)]))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"stride": 64}, "stride of a CoD network is 4, 8, 16, 32 or 128, not 64"),
        ({"bits": 17}, "bits of a CoD network is a whole number from 1 to 16, not 17"),
        ({"width": True}, "from 1 to 8192, not True"),
        ({"heads": 7}, "width of a CoD network is a multiple of four times its 7 heads"),
        ({"space": "sound"}, "space of a CoD network is pixel or latent, not 'sound'"),
        ({"one_step": "y"}, "one_step of a CoD network is x or v"),
        ({"one_step": "x", "space": "latent"}, "one_step of a CoD network is x or v"),
        ({"guidance": "3"}, "guidance of a CoD network is a number, not '3'"),
        ({"noise_level": 2.0}, "noise_level of a CoD network is 0 to 1, not 2.0"),
        ({"time_features": 7}, "time_features of a CoD network is even, not 7"),
    ],
)
def test_sizes_out_of_range_are_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        replace(VelocityConfig(), **changes)


# sampling


@pytest.mark.parametrize(
    ("name", "sampler"),
    [("latent", "adam2_25"), ("latent", "adam2_10"), ("latent", "euler_5"), ("pixel", "euler_5")],
)
def test_samples_are_the_published_ones(name: str, sampler: str) -> None:
    vectors = vectors_of(name)
    rule, steps = sampler.split("_")
    made = model_of(name).draw(
        vectors.tokens("stream"),
        noise("noise", vectors.state_shape),
        steps=int(steps),
        guidance=vectors.facts["samplers"][sampler]["guidance"],
        order={"euler": 1, "adam2": 2}[rule],
    )
    wanted = vectors.array(f"sample_{sampler}")
    torch.testing.assert_close(made[0], wanted, rtol=0, atol=5e-4)


@pytest.mark.parametrize("name", ["onestep_x", "onestep_v"])
def test_pictures_of_one_step_are_the_published_ones(name: str) -> None:
    vectors = vectors_of(name)
    made = model_of(name).draw(vectors.tokens("stream"), noise("noise", vectors.state_shape))
    close(made[0], vectors.array("decoded"))


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_chooses_the_published_tokens(name: str) -> None:
    vectors = vectors_of(name)
    tokens = model_of(name).tokens(vectors.pixels)
    assert pack(tokens, vectors.config.bits).hex() == vectors.facts["stream"]


def test_no_picture_has_a_condition_of_every_size() -> None:
    vectors, model = vectors_of("pixel"), model_of("pixel")
    height, width = (side // vectors.config.stride for side in vectors.pixels.shape[2:])
    made = model.no_condition((height, width))
    close(made.mean(1), vectors.array("uncond_mean"))
    assert model.no_condition((2, 1)).shape == (1, vectors.config.width, 4, 2)


def test_without_guidance_no_picture_is_not_asked_about() -> None:
    vectors, model = vectors_of("latent"), model_of("latent")
    tokens, start = vectors.tokens("stream"), noise("noise", vectors.state_shape)
    times = [0.5, 1.0]
    alone = model.denoiser(model.condition(tokens), times)
    made = model.draw(tokens, start, steps=1, guidance=1.0)
    close(made, alone(start * PURE_NOISE, torch.tensor([PURE_NOISE])))
    # one step starts outside of the interval of guidance
    close(made, model.draw(tokens, start, steps=1, guidance=3.0))
    guided = model.draw(tokens, start, steps=3, guidance=3.0)
    assert float((guided - model.draw(tokens, start, steps=3, guidance=1.0)).abs().max()) > 0.1


def test_what_the_first_blocks_make_is_kept_between_whole_evaluations() -> None:
    vectors, model = vectors_of("latent"), model_of("latent")
    condition, times = vectors.condition("stream"), [0.25, 0.5, 0.75]
    kept = model.denoiser(condition, times, cache=2)
    states = [noise(name, vectors.state_shape) for name in ("one", "two", "three")]
    levels = [torch.tensor([flow_sigma(s)]) for s in reversed(times)]
    made = [kept(x, level) for x, level in zip(states, levels, strict=True)]
    alone = [
        model.denoiser(condition, times)(x, level) for x, level in zip(states, levels, strict=True)
    ]
    close(made[0], alone[0])
    assert float((made[1] - alone[1]).abs().max()) > 1e-2
    close(made[2], alone[2])
