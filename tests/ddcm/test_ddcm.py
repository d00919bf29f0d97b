"""The ddcm codec: atoms and blocks, stopping rules, determinism, and what its decoder makes."""

from __future__ import annotations

import multiprocessing
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from photograph import psnr
from PIL import Image

import diffc
from diffc.codec import Coded, DecodeOptions, Encoded, Picture, Rate
from diffc.codecs.ddcm import codebook
from diffc.codecs.ddcm.atoms import by_shift, rank, take
from diffc.codecs.ddcm.codebook import HadamardCodebook
from diffc.codecs.ddcm.codec import DdcmCodec
from diffc.codecs.shared.latents.blocks import BlockLayout
from diffc.codecs.shared.models import fingerprint
from diffc.pictures.pixels import from_pillow, to_tensor


@pytest.mark.parametrize("bpp", [0.3, 1.0])
def test_bpp_counts_the_whole_file(photo: Image.Image, ddcm_model: str, bpp: float) -> None:
    length = len(
        diffc.encode(photo, backend="ddcm", bpp=bpp, exif=b"Exif\0\0" + bytes(30), model=ddcm_model)
    )
    target = int(bpp * photo.width * photo.height / 8)
    assert 0.95 * target <= length <= target


def test_a_walk_of_fixed_atoms_codes_so_many(photo: Image.Image, ddcm_model: str) -> None:
    for atoms in (1, 7):
        data = diffc.encode(photo, backend="ddcm", target_size=60, atoms=atoms, model=ddcm_model)
        assert len(data) <= 60
        assert diffc.decode(data).size == photo.size


def test_the_decoder_makes_the_coded_atoms_and_no_others(
    photo: Image.Image, ddcm_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    books: list[HadamardCodebook] = []
    made_by_step: list[int] = []
    original = HadamardCodebook.noise

    def counted(self: HadamardCodebook, step: int, atoms: codebook.Atoms) -> torch.Tensor:
        before = self.atoms_made
        noise = original(self, step, atoms)
        assert self.atoms_made - before == len(atoms.words) == int(atoms.counts.sum())
        books.append(self)
        made_by_step.append(self.atoms_made - before)
        return noise

    data = diffc.encode(photo, backend="ddcm", target_size=150, atoms=5, model=ddcm_model)
    monkeypatch.setattr(HadamardCodebook, "noise", counted)
    monkeypatch.setattr(HadamardCodebook, "products", None)
    diffc.decode(data)
    assert made_by_step[:-1] == [5] * (len(made_by_step) - 1)
    assert made_by_step[-1] <= 10
    assert books[-1].atoms_made == sum(made_by_step)


def encoded(
    photo: Image.Image, ddcm_model: str, **settings: object
) -> tuple[Encoded, torch.Tensor]:
    picture = from_pillow(photo, keep_alpha=False, convert_color=False)
    pixels = to_tensor(picture)
    codec = DdcmCodec(model=ddcm_model, **settings)  # type: ignore[arg-type]
    return codec.encode(Picture(pixels), Rate(quality=70)), pixels


@pytest.mark.parametrize("wanted", [18, 22])
def test_target_psnr_is_reached_and_not_passed_by_far(
    photo: Image.Image, ddcm_model: str, wanted: float
) -> None:
    data = diffc.encode(photo, backend="ddcm", target_psnr=wanted, model=ddcm_model)
    assert wanted <= psnr(photo, diffc.decode(data)) < wanted + 0.3


def test_an_unreachable_psnr_is_an_error(photo: Image.Image, ddcm_model: str) -> None:
    with pytest.raises(ValueError, match="target_psnr=60"):
        diffc.encode(photo, backend="ddcm", target_psnr=60.0, model=ddcm_model)
    with pytest.raises(ValueError, match="target_psnr=30"):
        diffc.encode(photo, backend="ddcm", target_psnr=30, target_size=60, model=ddcm_model)


ENCODE = """
import sys
from PIL import Image
import diffc
image = Image.open(sys.argv[1])
data = diffc.encode(image, backend="ddcm", target_size=400, model=sys.argv[2])
sys.stdout.buffer.write(data)
"""


def encode_in_worker(arguments: tuple[Image.Image, str]) -> bytes:
    image, model = arguments
    return diffc.encode(image, backend="ddcm", target_size=400, model=model)


def test_bytes_are_the_same_in_other_processes_and_on_other_threads(
    photo: Image.Image, ddcm_model: str, tmp_path: Path
) -> None:
    path = tmp_path / "photo.png"
    photo.save(path)
    expected = diffc.encode(photo, backend="ddcm", target_size=400, model=ddcm_model)
    ran = subprocess.run(
        [sys.executable, "-c", ENCODE, str(path), ddcm_model], check=True, capture_output=True
    )
    assert ran.stdout == expected
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        assert pool.map(encode_in_worker, [(photo, ddcm_model)] * 3) == [expected] * 3
    before = torch.get_num_threads()
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            assert (
                diffc.encode(photo, backend="ddcm", target_size=400, model=ddcm_model) == expected
            )
    finally:
        torch.set_num_threads(before)


def test_damaged_parameters_are_file_errors(photo: Image.Image, ddcm_model: str) -> None:
    whole, _ = encoded(photo, ddcm_model)
    for parameters in (b"", bytes(4), b"\x1e\xff\0\0", b"\x1e\x05\0\0", b"\x05\x09\0\0", bytes(8)):
        coded = Coded(whole.payload, parameters, photo.size, 1, whole.fingerprint)
        with pytest.raises(OSError, match="damaged"):
            DdcmCodec.decode(coded, DecodeOptions())


@pytest.mark.parametrize(
    "shape", [(4, 64, 64), (16, 5, 3), (32, 1, 1), (32, 8, 9), (128, 32, 48), (3, 2, 100)]
)
def test_blocks_split_and_join(shape: tuple[int, int, int]) -> None:
    layout = BlockLayout(*shape)
    latent = torch.randn(shape)
    blocks = layout.split(latent)
    assert blocks.shape == (layout.count, layout.length)
    assert layout.length <= 4096
    assert torch.equal(layout.join(blocks), latent)
    assert torch.equal(blocks.square().sum().round(), latent.square().sum().round())


@pytest.mark.parametrize("shape", [(32, 4, 8), (32, 8, 6), (20, 8, 8), (48, 18, 8)])
def test_noise_has_unit_variance_where_the_latent_ends_inside_a_block(
    shape: tuple[int, int, int],
) -> None:
    layout = BlockLayout(*shape)
    book = HadamardCodebook(layout, 0, "cpu")
    generator = torch.Generator().manual_seed(1)
    residual = layout.split(torch.randn(shape, generator=generator))
    ranking = rank(book.products(0, residual), residual.square().sum(1))
    atoms = take(ranking, torch.full((layout.count,), 12))
    noise = layout.join(book.noise(0, atoms))
    assert 0.7 < float(noise[:, -2:].square().mean()) < 1.4


def test_products_are_those_of_the_words_made() -> None:
    layout = BlockLayout(8, 4, 4)
    book = HadamardCodebook(layout, 3, "cpu")
    residual = torch.randn(layout.count, layout.length)
    words = torch.arange(layout.length)
    every = []
    for word in words:
        one = codebook.Atoms(
            torch.ones(layout.count, dtype=torch.int64),
            word.repeat(layout.count),
            torch.ones(layout.count),
        )
        every.append((book.noise(5, one) * residual).sum(1))
    torch.testing.assert_close(book.products(5, residual), torch.stack(every, 1))


def test_words_are_orthogonal_and_of_signs() -> None:
    layout = BlockLayout(4, 4, 4)
    assert (layout.count, layout.length) == (1, 64)
    book = HadamardCodebook(layout, 0, "cpu")
    words = torch.cat([book.products(2, element[None]) for element in torch.eye(64)])
    assert torch.equal(words.abs(), torch.ones(64, 64))
    assert torch.equal(words @ words.T, 64 * torch.eye(64))


@pytest.mark.parametrize("seed", range(6))
def test_a_stream_that_never_ends_is_refused_soon(ddcm_model: str, seed: int) -> None:
    """A few bytes must not keep the decoder busy: the range decoder itself would go on for ever."""
    payload = random.Random(seed).randbytes(300)
    # 255 coded steps of a picture of 50 blocks
    coded = Coded(payload, b"\xff\xff\0\0", (640, 640), 1, fingerprint(Path(ddcm_model)))
    seen: list[int] = []
    options = DecodeOptions(progress=lambda step, total: seen.append(step))
    with pytest.raises(OSError, match=r"ends before|at most"):
        DdcmCodec.decode(coded, options)
    assert len(seen) <= 20


def test_nothing_is_spent_on_what_weighs_nothing() -> None:
    ranking = rank(torch.zeros(3, 64), torch.zeros(3))
    assert by_shift(ranking, 2.0).tolist() == [0, 0, 0]


def test_two_stopping_rules_are_refused(photo: Image.Image, ddcm_model: str) -> None:
    with pytest.raises(ValueError, match="target_psnr and quality"):
        diffc.encode(photo, backend="ddcm", target_psnr=20, quality=30, model=ddcm_model)


@pytest.mark.parametrize("options", [{"steps": 0}, {"atoms": True}, {"seed": -1}, {"steps": "3"}])
def test_wrong_options_are_refused(photo: Image.Image, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(options))} is a whole number from"):
        diffc.encode(photo, backend="ddcm", **options)


@pytest.mark.parametrize(
    "options", [{"bpp": 10**400}, {"bpp": 1e308}, {"device": "meta"}, {"device": "nowhere"}]
)
def test_odd_options_are_value_errors(
    photo: Image.Image, ddcm_model: str, options: dict[str, object]
) -> None:
    with pytest.raises(ValueError, match=r"bpp|device"):
        diffc.encode(photo, backend="ddcm", model=ddcm_model, **options)


def test_what_a_progress_function_raises_comes_through(photo: Image.Image, ddcm_model: str) -> None:
    class Cancelled(Exception):
        pass

    def cancel(step: int, total: int) -> None:
        raise Cancelled

    data = diffc.encode(photo, backend="ddcm", quality=10, model=ddcm_model)
    with pytest.raises(Cancelled):
        diffc.decode(data, progress=cancel)
    with pytest.raises(Cancelled):
        diffc.encode(photo, backend="ddcm", quality=10, model=ddcm_model, progress=cancel)


def test_a_folder_that_is_no_model_is_an_error(
    photo: Image.Image, ddcm_model: str, tmp_path: Path
) -> None:
    kinds: dict[str, tuple[str, type[Exception], str]] = {
        "keys": ("{}", ValueError, "models are of kind 'patch'"),
        "json": ("{", ValueError, "models are of kind 'patch'"),
        "other": ('{"kind": "restoring"}', ValueError, "models are of kind 'patch'"),
        "same": ('{"kind": "patch"}', OSError, "is no model of this kind"),
    }
    for name, (text, error, message) in kinds.items():
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text(text)
        with pytest.raises(error, match=message):
            diffc.encode(photo, backend="ddcm", model=folder)
    data = diffc.encode(photo, backend="ddcm", quality=10, model=ddcm_model)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIFFC_MODELS", os.pathsep.join([str(tmp_path), ddcm_model]))
        assert diffc.decode(data).size == photo.size
