"""Checkpoints of the zoo: names of all releases, tables kept, and what is none of the zoo's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_zoo import needs_compressai, network_of, noise
from torch import Tensor

from diffc.cli.main import main
from diffc.codecs.compressai.convert import ladder, renamed, write_model
from diffc.codecs.compressai.folder import WEIGHTS
from diffc.codecs.compressai.model import ZooModel

TABLE = "entropy_bottleneck._quantized_cdf"


def old_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return weights under the names of the first releases, written by several processes."""
    pattern = r"entropy_bottleneck\.(biases|matrices|factors)\."
    return {
        "module."
        + re.sub(pattern, r"entropy_bottleneck._\1.", name).replace(".skip.", ".downsample."): each
        for name, each in state.items()
    }


def test_names_of_all_releases_become_one() -> None:
    for name in ("_bias2", "_biases.2", "biases.2"):
        assert renamed(f"entropy_bottleneck.{name}") == "entropy_bottleneck._bias2"
    for name in ("_matrix0", "_matrices.0", "matrices.0"):
        assert renamed(f"module.entropy_bottleneck.{name}") == "entropy_bottleneck._matrix0"
    assert renamed("entropy_bottleneck.factors.3") == "entropy_bottleneck._factor3"
    assert renamed("g_a.0.downsample.weight") == "g_a.0.skip.weight"
    for name in ("entropy_bottleneck.quantiles", TABLE, "h_s.0.bias"):
        assert renamed(name) == name


def test_a_ladder_rises_through_the_trained_gains() -> None:
    trained = torch.tensor([0.1, -0.2, 0.8])
    found = ladder(trained)
    assert found.dtype == torch.float32
    assert found.tolist() == sorted(found.tolist())
    assert set(trained.abs().tolist()) <= set(found.tolist())
    assert len(found) == 17


@needs_compressai
@pytest.mark.parametrize(
    "architecture", ["bmshj2018-factorized", "mbt2018-mean", "cheng2020-anchor"]
)
def test_old_and_new_checkpoints_make_the_same_model(architecture: str, tmp_path: Path) -> None:
    state = network_of(architecture).state_dict()
    write_model(state, {}, tmp_path / "new")
    write_model(old_names(state), {"architecture": architecture}, tmp_path / "old")
    new, old = (load_file(tmp_path / each / WEIGHTS) for each in ("new", "old"))
    assert new.keys() == old.keys()
    assert all(torch.equal(new[name], old[name]) for name in new)


@needs_compressai
def test_tables_are_kept_and_made_only_where_there_are_none(tmp_path: Path) -> None:
    network = network_of("mbt2018-mean")
    state = {name: each.clone() for name, each in network.state_dict().items()}
    # a table that no release would compute
    state[TABLE][0, 1] += 1
    write_model(state, {}, tmp_path / "changed")
    kept = load_file(tmp_path / "changed" / WEIGHTS)
    assert torch.equal(kept[TABLE], state[TABLE])
    assert kept[TABLE].dtype == torch.int32
    model = ZooModel(tmp_path / "changed", "cpu")
    strings = model.encode(noise(64, 64))
    model.latent(strings, (64, 64), lambda row: None)
    empty = {
        name: each if "_cdf" not in name and "_offset" not in name else each.new_zeros(0)
        for name, each in network.state_dict().items()
    }
    write_model(empty, {}, tmp_path / "trained")
    assert torch.equal(
        load_file(tmp_path / "trained" / WEIGHTS)[TABLE], network.state_dict()[TABLE]
    )


@needs_compressai
def test_other_weights_are_refused_in_a_sentence(tmp_path: Path) -> None:
    state = network_of("mbt2018-mean").state_dict()
    lacking = {name: each for name, each in state.items() if name != "h_s.2.bias"}
    for weights, arguments, sentence in (
        ({"a": torch.ones(2)}, {}, "there is no 'g_a.0.weight'"),
        (lacking, {}, "the weights of mbt2018-mean are complete, and these are not"),
        (state, {"architecture": "mbt2018"}, "the weights are those of mbt2018-mean"),
    ):
        with pytest.raises(ValueError, match=re.escape(sentence)) as caught:
            write_model(weights, arguments, tmp_path / "model")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "model").exists()


@needs_compressai
def test_a_released_file_is_converted_by_command(
    own_store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mbt2018-mean-4-00000000.pth.tar"
    torch.save(old_names(network_of("mbt2018-mean").state_dict()), path)
    flags = ["--kind", "compressai", "--name", "mbt2018-mean-4"]
    assert main(["models", "convert", str(path), *flags]) == 0
    assert capsys.readouterr().out.startswith("mbt2018-mean-4: compressai, fingerprint ")
    assert (own_store / "models" / "mbt2018-mean-4" / WEIGHTS).is_file()
    assert main(["models", "verify", "mbt2018-mean-4"]) == 0
