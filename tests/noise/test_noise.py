from __future__ import annotations

import hashlib
import runpy
import zlib
from collections.abc import Callable
from importlib.resources import files
from itertools import accumulate
from pathlib import Path

import pytest
import torch
from torch import Tensor

from diffc.noise.philox import philox4x32
from diffc.noise.streams import Purpose, normal_table, random_normals, random_signs, random_words

MAKERS = [random_words, random_signs, random_normals]
Maker = Callable[..., Tensor]
TABLE = files("diffc.noise").joinpath("normal_table.bin")


def test_the_purposes_are_frozen() -> None:
    assert [(p.name, p.value) for p in Purpose] == [
        ("INITIAL", 0),
        ("SIGNS", 1),
        ("GAUSSIAN_ATOM", 2),
        ("FILL", 3),
        ("ORDER", 4),
        ("TEXTURE", 5),
        ("DITHER", 6),
        ("ARRIVALS", 7),
        ("CANDIDATES", 8),
    ]


def test_the_words() -> None:
    words = random_words(7, Purpose.SIGNS, 3, torch.tensor([0, 5]), 5, "cpu")
    assert words.tolist() == [
        [3886424178, 1066251654, 1046280903, 1791907065, 2408224575],
        [941006863, 2245758627, 3217096250, 332559612, 3903393214],
    ]
    assert words.dtype == torch.int64
    last = random_words(2**32 - 1, 2**32 - 1, 2**32 - 1, torch.tensor([2**32 - 1]), 1, "cpu", 9)
    counter = torch.tensor([2, 2**32 - 1, 2**32 - 1, 0])
    assert last.item() == philox4x32(counter, (2**32 - 1, 2**32 - 1))[1]


def test_the_signs() -> None:
    signs = random_signs(7, Purpose.SIGNS, 3, torch.tensor([5]), 40, "cpu")
    words = (941006863, 2245758627)
    bits = [words[element // 32] >> element % 32 & 1 for element in range(40)]
    assert signs.tolist() == [[1.0 - 2 * bit for bit in bits]]
    assert signs.dtype == torch.float32


def test_the_normals() -> None:
    normals = random_normals(7, Purpose.GAUSSIAN_ATOM, 3, torch.tensor([5]), 9, "cpu")
    numerators = [1901, 2376, 2092, 650, -1309, -5568, 2921, 1758, -10645]
    assert (normals * 4096).tolist() == [numerators]
    assert normals.dtype == torch.float32
    words = random_words(7, Purpose.GAUSSIAN_ATOM, 3, torch.tensor([5]), 5, "cpu")[0].tolist()
    halves = [half for word in words for half in (word & 0xFFFF, word >> 16)][:9]
    assert normals[0].tolist() == [normal_table()[half].item() for half in halves]


def test_the_table_is_the_frozen_one() -> None:
    digest = hashlib.sha256(TABLE.read_bytes()).hexdigest()
    assert digest == "49021182f1de6616c2aa95352f7fe1309672afeb798d809dc1cc9bbc57920656"
    table = (normal_table().to(torch.float64) * 4096).tolist()
    assert table == [-value for value in reversed(table)]
    assert table == sorted(table)
    assert table[32768:32784] == [0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2]
    assert table[-3:] == [16203, 16696, 17715]
    assert sum(value * value for value in table) == 2 * 549755329104
    assert abs(sum(value * value for value in table) / 65536 / 4096**2 - 1) < 1e-6


def test_the_table_can_be_made_again() -> None:
    made = runpy.run_path(str(Path(__file__).parents[1].joinpath("make_normal_table.py")))[
        "half_table"
    ]()
    stored = memoryview(zlib.decompress(TABLE.read_bytes()))
    differences = (stored[i] | stored[i + 1] << 8 for i in range(0, len(stored), 2))
    assert list(accumulate(differences)) == made


@pytest.mark.parametrize("make", MAKERS)
def test_any_part_can_be_made_alone(make: Maker) -> None:
    indices = torch.tensor([0, 1, 9, 2**32 - 1])
    whole = make(1, 2, 3, indices, 300, "cpu")
    assert whole.shape == (4, 300)
    for row, index in enumerate(indices.tolist()):
        assert torch.equal(make(1, 2, 3, torch.tensor([index]), 300, "cpu")[0], whole[row])
    for first in (0, 1, 2, 3, 4, 5, 31, 32, 33, 127, 128, 129, 299):
        for count in (0, 1, 2, 3, 70, 171):
            part = make(1, 2, 3, indices, min(count, 300 - first), "cpu", first)
            assert torch.equal(part, whole[:, first : first + count])
            assert part.is_contiguous()


@pytest.mark.parametrize("make", MAKERS)
def test_every_part_of_the_address_matters(make: Maker) -> None:
    address = [(1, 2, 3, 4), (2, 2, 3, 4), (1, 3, 3, 4), (1, 2, 4, 4), (1, 2, 3, 5), (2, 1, 3, 4)]
    rows = [make(a, b, c, torch.tensor([d]), 256, "cpu")[0] for a, b, c, d in address]
    for i, row in enumerate(rows):
        for other in rows[:i]:
            assert (row == other).float().mean() < 0.7


@pytest.mark.parametrize("make", MAKERS)
def test_the_defaults_and_modes_of_torch_do_not_matter(make: Maker) -> None:
    normal_table.cache_clear()
    expected = make(1, 2, 3, torch.arange(3), 50, "cpu")
    normal_table.cache_clear()
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), torch.device("meta"):
            inside = make(1, 2, 3, torch.arange(3, device="cpu"), 50, torch.device("cpu"))
    finally:
        torch.set_default_dtype(torch.float32)
    assert inside.dtype == expected.dtype
    assert torch.equal(inside, expected)
    assert not normal_table().is_inference()


@pytest.mark.parametrize("make", MAKERS)
def test_nothing_asked_is_nothing_made(make: Maker) -> None:
    assert make(0, 0, 0, torch.arange(2), 0, "cpu").shape == (2, 0)
    assert make(0, 0, 0, torch.empty(0, dtype=torch.int64), 7, "cpu").shape == (0, 7)


def test_the_moments_of_normals() -> None:
    normals = random_normals(0, Purpose.INITIAL, 0, torch.arange(64), 4096, "cpu").double()
    assert abs(normals.mean()) < 0.01
    assert abs(normals.square().mean() - 1) < 0.01
    assert abs(normals.pow(4).mean() - 3) < 0.05
    products = normals @ normals.T / 4096
    assert (products - torch.eye(64)).abs().max() < 0.12
    assert abs((normals[:, 1:] * normals[:, :-1]).mean()) < 0.01


def test_the_moments_of_signs() -> None:
    signs = random_signs(0, Purpose.SIGNS, 0, torch.arange(64), 4096, "cpu").double()
    assert torch.equal(signs.square(), torch.ones_like(signs))
    assert abs(signs.mean()) < 0.01
    assert (signs @ signs.T / 4096 - torch.eye(64)).abs().max() < 0.12
    assert signs.mean(0).abs().max() < 0.7


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("make", MAKERS)
def test_a_gpu_makes_the_same_noise(make: Maker) -> None:
    indices = torch.arange(100)
    here = make(5, 6, 7, indices, 5000, "cpu")
    assert torch.equal(make(5, 6, 7, indices, 5000, "cuda").cpu(), here)
    assert torch.equal(make(5, 6, 7, indices.cuda(), 5000, "cuda").cpu(), here)


@pytest.mark.parametrize("make", MAKERS)
def test_wrong_arguments(make: Maker) -> None:
    indices = torch.arange(2)
    for place, name in enumerate(("seed", "purpose", "step")):
        for value in (-1, 2**32):
            address = [0, 0, 0]
            address[place] = value
            with pytest.raises(ValueError, match=f"{name} is in"):
                make(*address, indices, 4, "cpu")
    with pytest.raises(ValueError, match="count is in"):
        make(0, 0, 0, indices, -1, "cpu")
    with pytest.raises(ValueError, match="first is in"):
        make(0, 0, 0, indices, 1, "cpu", -1)
    with pytest.raises(ValueError, match="indices are in"):
        make(0, 0, 0, torch.tensor([-1]), 1, "cpu")
    with pytest.raises(ValueError, match="indices are in"):
        make(0, 0, 0, torch.tensor([2**32]), 1, "cpu")
    for wrong in (indices[None], indices.to(torch.int32)):
        with pytest.raises(ValueError, match="a row of int64"):
            make(0, 0, 0, wrong, 1, "cpu")
