"""Captions that are made of pictures, by small random captioners; nothing is fetched."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import codecs_for_tests  # noqa: F401 - registers codecs
import pytest
import torch
from PIL import Image

import diffc
from diffc.codecs.shared import captioner
from diffc.codecs.shared.captioner import caption_of, captioner_folder
from diffc.errors import OptionError
from diffc.models import store

needs_transformers = pytest.mark.skipif(
    find_spec("transformers") is None, reason="transformers is not installed"
)
NOISE = torch.rand(3, 40, 60, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="session", params=["blip", "florence"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a captioner."""
    if find_spec("transformers") is None:
        pytest.skip("transformers is not installed")
    import tiny_captioners
    import transformers

    if request.param == "florence" and not hasattr(transformers, "Florence2Config"):
        pytest.skip("this transformers has no Florence-2")
    made = tmp_path_factory.mktemp(request.param)
    getattr(tiny_captioners, f"write_{request.param}")(made)
    return made


@pytest.fixture(scope="session")
def blip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directory of a BLIP."""
    made = tmp_path_factory.mktemp("blip")
    import tiny_captioners

    tiny_captioners.write_blip(made)
    return made


@pytest.fixture(autouse=True)
def nothing_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty store, no captioner named, no network."""
    monkeypatch.setenv("DIFFC_STORE", str(tmp_path / "store"))
    monkeypatch.delenv("DIFFC_CAPTIONER", raising=False)
    monkeypatch.delenv("DIFFC_ALLOW_DOWNLOAD", raising=False)

    def refuse(*_: Any, **__: Any) -> Any:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_a_picture_gets_a_caption(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DIFFC_CAPTIONER", str(folder))
    caption = caption_of(NOISE)
    assert caption_of(NOISE) == caption
    words = set(caption.split())
    assert words
    import tiny_captioners

    assert words <= {*tiny_captioners.WORDS, *["What", "does", "image", "describe", "?"]}
    assert len(caption) <= 200
    others = [caption_of(torch.zeros(3, 9, 5)), caption_of(torch.ones(3, 33, 64))]
    assert {caption, *others} != {caption}


@needs_transformers
def test_the_caption_is_stored_and_fits(
    blip: Path, photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_CAPTIONER", str(blip))
    data = diffc.encode(photo, backend="planes", caption="auto", target_size=900)
    assert len(data) == 900
    pixels = torch.from_numpy(__import__("numpy").array(photo)).permute(2, 0, 1) / 255
    assert diffc.info(data).caption == caption_of(pixels)
    assert diffc.encode(photo, backend="planes", caption="auto", target_size=900) == data
    assert diffc.encode_batch([photo], backend="planes", caption="auto", target_size=900) == [data]


@needs_transformers
def test_another_process_makes_the_same_caption(
    blip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_CAPTIONER", str(blip))
    script = (
        "import torch; from diffc.codecs.shared.captioner import caption_of; generator = "
        "torch.Generator().manual_seed(1); print(caption_of(torch.rand(3, 40, 60, "
        "generator=generator)))"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == (caption_of(NOISE) + "\n", "")


@needs_transformers
def test_it_is_loaded_once(blip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import transformers

    loads = []
    read = transformers.BlipForConditionalGeneration.from_pretrained

    def counted(*args: Any, **options: Any) -> Any:
        loads.append(options)
        return read(*args, **options)

    monkeypatch.setattr(transformers.BlipForConditionalGeneration, "from_pretrained", counted)
    copy = shutil.copytree(blip, blip.with_name("copy"))
    monkeypatch.setenv("DIFFC_CAPTIONER", str(copy))
    with ThreadPoolExecutor(3) as pool:
        captions = set(pool.map(caption_of, 6 * [NOISE]))
    assert len(captions) == 1
    (options,) = loads
    assert options["use_safetensors"] is True
    assert options["local_files_only"] is True


@needs_transformers
def test_the_model_store_may_hold_it(blip: Path) -> None:
    with pytest.raises(OptionError):
        captioner_folder()
    store.keep(store.Record("mine", captioner.KIND, str(blip), owned=False, trust=store.DIRECTORY))
    assert captioner_folder() == blip
    assert len(caption_of(NOISE)) > 0


def test_without_a_captioner_the_remedies_are_named(
    photo: Image.Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # whatever is installed here
    monkeypatch.setattr(captioner, "_transformers", lambda: None)
    with pytest.raises(ValueError, match=r"none is here: set DIFFC_CAPTIONER.*=1$"):
        diffc.encode(photo, backend="planes", caption="auto")
    for named in ("nowhere", str(tmp_path), "/no/such/folder", "https://example.org/blip"):
        monkeypatch.setenv("DIFFC_CAPTIONER", named)
        with pytest.raises(ValueError, match=f"'{named}', which DIFFC_CAPTIONER names, is none"):
            diffc.encode(photo, backend="planes", caption="auto")


def test_without_transformers_the_extra_is_named(
    photo: Image.Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ValueError, match=r'needs transformers.*pip install "diffc.caption."'):
        diffc.encode(photo, backend="planes", caption="auto")
    assert diffc.info(diffc.encode(photo, backend="planes", caption="by hand")).caption == "by hand"


def damaged(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "damaged"))


@needs_transformers
@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ({"config.json": b"{"}, "no readable config.json"),
        ({"config.json": b'{"model_type": "llama"}'}, "one of blip, florence2.*is 'llama'"),
        ({"config.json": b'{"model_type": ["blip"]}'}, r"one of blip, florence2.*is \['blip'\]"),
        ({"model.safetensors": b"\x08" + bytes(15)}, "cannot be used as a captioner"),
        ({"model.safetensors": None}, "cannot be used as a captioner.*model.safetensors"),
        ({"model.safetensors": None, "pytorch_model.bin": b"\x80\x04."}, "cannot be used"),
        (
            {"tokenizer.json": None, "tokenizer_config.json": None, "vocab.txt": None},
            "cannot be used as a captioner .it has none of tokenizer.json",
        ),
    ],
)
def test_a_damaged_captioner_is_refused(
    blip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: Any, message: str
) -> None:
    folder = damaged(blip, tmp_path)
    for name, data in damage.items():
        if data is None:
            (folder / name).unlink()
        else:
            (folder / name).write_bytes(data)
    monkeypatch.setenv("DIFFC_CAPTIONER", str(folder))
    with pytest.raises(OSError, match=message) as caught:
        caption_of(NOISE)
    assert "\n" not in str(caught.value)


@needs_transformers
def test_weights_of_another_network_are_refused(
    blip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import load_file, save_file

    folder = damaged(blip, tmp_path)
    weights = load_file(folder / "model.safetensors")
    missing = weights.pop(min(weights))
    assert missing.numel()
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    monkeypatch.setenv("DIFFC_CAPTIONER", str(folder))
    with pytest.raises(OSError, match="1 weights are missing"):
        caption_of(NOISE)


@needs_transformers
def test_code_beside_the_weights_does_not_run(
    blip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DIFFC_CAPTIONER", str(blip))
    expected = caption_of(NOISE)
    folder, marker = damaged(blip, tmp_path), tmp_path / "ran"
    config = json.loads((folder / "config.json").read_text())
    names = ("AutoConfig", "AutoModelForImageTextToText", "AutoProcessor", "AutoTokenizer")
    config["auto_map"] = dict.fromkeys(names, "evil.Evil")
    (folder / "config.json").write_text(json.dumps(config))
    for name in ("tokenizer_config.json", "processor_config.json"):
        if (folder / name).exists():
            held = json.loads((folder / name).read_text())
            held["auto_map"] = config["auto_map"] | {"AutoTokenizer": ["evil.Evil", "evil.Evil"]}
            (folder / name).write_text(json.dumps(held))
    (folder / "evil.py").write_text(f"open({str(marker)!r}, 'w'); class Evil: ...\n")
    monkeypatch.setenv("DIFFC_CAPTIONER", str(folder))
    monkeypatch.setattr("builtins.input", lambda *_: "y")
    assert caption_of(NOISE) == expected
    assert not marker.exists()
    assert "evil" not in {Path(name).stem for name in os.listdir(tmp_path)}
