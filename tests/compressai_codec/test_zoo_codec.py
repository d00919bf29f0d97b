"""The codec: files, rates over a family of models, threads, and machines that compute otherwise."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from photograph import drawn
from PIL import Image
from tiny_zoo import HERE, needs_compressai, write_zoo_model
from torch import Tensor

import diffc
from diffc.codec import DecodeOptions
from diffc.codecs.compressai.codec import CompressAICodec
from diffc.codecs.compressai.model import ZooModel
from diffc.codecs.shared.models import load_once
from diffc.models.adding import add
from diffc.testing import checks

FAMILY = "mbt2018-mean"


@pytest.fixture(scope="module")
def zoo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a family of three qualities."""
    directory = tmp_path_factory.mktemp("zoo")
    for quality, loud in ((1, 6), (4, 20), (8, 70)):
        write_zoo_model(directory / f"{FAMILY}-{quality}", FAMILY, loud)
    return directory


@pytest.fixture(scope="module")
def several(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of models of several architectures."""
    directory = tmp_path_factory.mktemp("several")
    for name in ("bmshj2018-factorized", "bmshj2018-hyperprior", "mbt2018", "mbt2018-mean-vbr"):
        write_zoo_model(directory / name, name)
    return directory


@pytest.mark.skipif(HERE, reason="CompressAI is here")
def test_without_the_package_the_error_names_the_extra() -> None:
    with pytest.raises(ValueError, match=r'without compressai: pip install "diffc\[compressai\]"'):
        diffc.encode(drawn((64, 64), "RGB"), backend="compressai")


@needs_compressai
@pytest.mark.parametrize("rule", [str(check) for check in checks(CompressAICodec)])
def test_the_contract_holds(rule: str, zoo: Path) -> None:
    codec = CompressAICodec(model=str(zoo))
    options = DecodeOptions(model=str(zoo))
    found = checks(codec, decode_options=options, thread_counts=True)
    (check,) = (each for each in found if str(each) == rule)
    check()


@needs_compressai
@pytest.mark.parametrize("rule", ["round_trip", "quality", "byte_targets", "damage", "progress"])
@pytest.mark.parametrize("name", ["bmshj2018-factorized", "mbt2018", "mbt2018-mean-vbr"])
def test_other_architectures_hold_it_too(rule: str, name: str, several: Path) -> None:
    codec = CompressAICodec(model=str(several / name))
    options = DecodeOptions(model=str(several / name))
    found = checks(codec, decode_options=options, sizes=[(1, 1), (17, 31), (64, 96)])
    (check,) = (each for each in found if str(each) == rule)
    check()


@needs_compressai
def test_the_rate_chooses_among_the_qualities_that_are_here(
    zoo: Path, own_store: Path, photo: Image.Image
) -> None:
    records = [add(folder) for folder in sorted(zoo.iterdir())]
    marks = [record.fingerprints[0] for record in records]
    options = {"backend": "compressai", "model": FAMILY}
    files = [diffc.encode(photo, **options, quality=quality) for quality in (0, 50, 100)]
    assert [diffc.info(file).model for file in files] == marks
    assert sorted(map(len, files)) == [len(file) for file in files]
    for file, mark in zip(files, marks, strict=True):
        fitting = diffc.encode(photo, **options, target_size=len(file) + 3)
        assert (fitting, diffc.info(fitting).model) == (file, mark)
        assert diffc.decode(file).size == photo.size
    with pytest.raises(ValueError, match=f"{len(files[0])} .*{len(files[2])}"):
        diffc.encode(photo, **options, target_size=len(files[0]) - 1)
    named = diffc.encode(photo, backend="compressai", model=f"{FAMILY}:8")
    assert diffc.info(named).model == marks[2]
    # the only family that is here
    assert diffc.encode(photo, backend="compressai", quality=0) == files[0]
    with pytest.raises(ValueError, match=r"'mbt2018-mean:5' is not among them: convert"):
        diffc.encode(photo, backend="compressai", model=f"{FAMILY}:5")


@needs_compressai
def test_a_gain_sets_the_rate_of_one_model(several: Path, photo: Image.Image) -> None:
    options = {"backend": "compressai", "model": str(several / "mbt2018-mean-vbr")}
    sizes = [len(diffc.encode(photo, **options, quality=quality)) for quality in (0, 30, 60, 100)]
    assert sizes == sorted(set(sizes))
    target = (sizes[1] + sizes[2]) // 2
    assert 0.85 * target < len(diffc.encode(photo, **options, target_size=target)) <= target


@needs_compressai
def test_of_several_families_one_has_to_be_named(several: Path, photo: Image.Image) -> None:
    with pytest.raises(ValueError, match="here are bmshj2018-factorized, bmshj2018-hyperprior, m"):
        diffc.encode(photo, backend="compressai", model=str(several))


@needs_compressai
def test_files_written_with_one_thread_open_with_four(several: Path, tmp_path: Path) -> None:
    names = ("bmshj2018-hyperprior", "mbt2018", "mbt2018-mean-vbr")
    image, wanted = drawn((150, 90), "RGB"), {}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for name in names:
            data = diffc.encode(image, backend="compressai", model=str(several / name))
            (tmp_path / f"{name}.diffc").write_bytes(data)
            wanted[name] = np.asarray(decoded(data, several), dtype=np.int16)
    finally:
        torch.set_num_threads(threads)
    code = (
        "import pathlib, sys, diffc, torch; torch.set_num_threads(4)\n"
        "for name in sys.argv[1:]:\n"
        "    diffc.decode(pathlib.Path(f'{name}.diffc').read_bytes()).save(f'{name}.png')\n"
        "print(torch.get_num_threads())"
    )
    environment = os.environ | {"DIFFC_MODELS": str(several), "OMP_NUM_THREADS": "4"}
    command = [sys.executable, "-c", code, *names]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "4\n"), done.stderr
    for name in names:
        with Image.open(tmp_path / f"{name}.png") as picture:
            found = np.asarray(picture, dtype=np.int16)
        # the synthesis runs on all threads, and its sums are rounded
        assert np.abs(found - wanted[name]).max() <= 1


def decoded(data: bytes, models: Path) -> Image.Image:
    """Decode with the models of a directory."""
    with diffc.decoding(model=str(models)):
        return diffc.decode(data)


def one_ulp(values: Tensor) -> Tensor:
    """Return the next larger floats."""
    return torch.nextafter(values, torch.full_like(values, torch.inf))


@contextmanager
def computing_otherwise(
    folder: Path, part: str, change: Callable[[Tensor], Tensor]
) -> Iterator[None]:
    """Change what a part of a model that is loaded computes, as another machine might."""
    model = load_once(ZooModel, folder, "cpu")
    hook = getattr(model.network, part).register_forward_hook(lambda *call: change(call[2]))
    try:
        yield
    finally:
        hook.remove()


@needs_compressai
@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("mbt2018-mean-vbr", "h_s"),
        ("mbt2018", "h_s"),
        ("mbt2018", "entropy_parameters"),
    ],
)
def test_one_ulp_in_the_entropy_model_is_refused_in_a_sentence(
    name: str, part: str, several: Path, photo: Image.Image
) -> None:
    data = diffc.encode(photo, backend="compressai", model=str(several / name))
    with diffc.decoding(model=str(several)):
        wanted = np.asarray(diffc.decode(data))
        with (
            computing_otherwise(several / name, part, one_ulp),
            pytest.raises(OSError, match="come out otherwise on this machine") as caught,
        ):
            diffc.decode(data)
        assert "\n" not in str(caught.value)
        assert np.array_equal(diffc.decode(data), wanted)


@needs_compressai
def test_scales_count_only_as_far_as_they_change_a_table(several: Path, photo: Image.Image) -> None:
    folder = several / "bmshj2018-hyperprior"
    data = diffc.encode(photo, backend="compressai", model=str(folder))
    with diffc.decoding(model=str(several)):
        wanted = np.asarray(diffc.decode(data))
        with computing_otherwise(folder, "h_s", one_ulp):
            assert np.array_equal(diffc.decode(data), wanted)
        with (
            computing_otherwise(folder, "h_s", lambda values: 1.5 * values + 0.1),
            pytest.raises(OSError, match="come out otherwise on this machine"),
        ):
            diffc.decode(data)
