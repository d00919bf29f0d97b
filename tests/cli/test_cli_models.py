"""``diffc models``: what it lists, fetches, adds, checks, converts and removes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest
import torch
from conftest import MODEL, RELAY_MODEL
from fake_hub import REVISION, WEIGHTS, change_json, known_model, running_hub
from safetensors.torch import load_file

import diffc
from diffc.cli.main import main
from diffc.codec import ModelKind
from diffc.models import convert, identity, store, table

pytestmark = pytest.mark.usefixtures("own_store")
CLI = [
    sys.executable,
    "-W",
    "error",
    "-c",
    "import sys; from diffc.cli.main import main; sys.exit(main())",
]


@pytest.fixture
def run(capsys):
    """Call the command; return code, stdout and stderr."""

    def call(*arguments):
        code = main(["models", *map(str, arguments)])
        return code, *capsys.readouterr()

    return call


def listed(run):
    """Return the rows of the list by name and codec."""
    code, out, err = run("list", "--json")
    assert (code, err) == (0, "")
    return {(row["name"], *row["codecs"]): row for row in json.loads(out)}


def test_the_list_has_what_is_embedded_known_and_stored(run, tmp_path):
    rows = listed(run)
    assert rows["tiny", "relay"]["state"] == "embedded"
    assert rows["tiny", "relay"]["size"] > rows["tiny", "perco"]["size"] > 10**6
    assert rows["tiny", "ddcm"]["licence"] == "MIT"
    assert rows["sd-2.1",]["state"] == "not fetched"
    assert rows["perco-sd",]["state"] == "by hand"
    assert rows["sd-turbo",]["commercial"] == "conditions"
    folder = tmp_path / "mine"
    shutil.copytree(MODEL, folder)
    assert run("add", folder)[0] == 0
    row = listed(run)["mine",]
    assert (row["state"], row["kind"], row["folder"]) == ("added", "patch", str(folder))
    assert row["fingerprints"] == [identity.fingerprint(MODEL).hex()]
    assert row["size"] == sum(path.stat().st_size for path in identity.used_files(MODEL))
    shutil.rmtree(folder)
    assert listed(run)["mine",]["state"] == "missing"


def test_the_list_is_a_table_of_plain_text(run):
    run("add", MODEL, "--name", "mine")
    code, out, err = run("list")
    head, *rows = out.splitlines()
    assert (code, err) == (0, "")
    assert head.split() == ["NAME", "KIND", "STATE", "SIZE", "FINGERPRINT", "COMMERCIAL", "LICENCE"]
    assert len(rows) == len(listed(run))
    assert all(row[head.index("STATE") - 1] == " " for row in rows)
    mine = next(row for row in rows if row.startswith("mine "))
    assert mine.split()[1:3] == ["patch", "added"]
    assert identity.fingerprint(MODEL).hex() in mine


def test_a_directory_is_added_found_checked_and_forgotten(run, tmp_path, photo):
    folder = tmp_path / "mine"
    shutil.copytree(RELAY_MODEL, folder)
    mark = identity.fingerprint(folder).hex()
    assert run("add", folder) == (0, f"mine: restoring, fingerprint {mark}, {folder}\n", "")
    assert run("path", "mine") == (0, f"{folder}\n", "")
    assert run("verify") == (0, "mine: 2 files as they were\n", "")
    data = diffc.encode(photo, model="mine", quality=10)
    assert diffc.decode(data).size == photo.size
    change_json(folder / "config.json", more=1)
    code, out, err = run("verify", "mine")
    assert (code, out) == (1, "")
    assert err.startswith(f"diffc: mine: {folder / 'config.json'} had the SHA-256 ")
    assert err.count("\n") == 1
    assert run("remove", "mine") == (0, f"mine: forgotten; {folder} stays\n", "")
    assert run("path", "mine")[0] == 1
    assert run("verify") == (0, "", "")


def test_one_of_several_that_fails_is_code_3(run, tmp_path):
    run("add", MODEL, "--name", "mine")
    code, out, err = run("verify", "mine", "nobody")
    assert (code, out) == (3, "mine: 3 files as they were\n")
    assert err == "diffc: nobody: the store has no model 'nobody': see 'diffc models list'\n"
    assert run("remove", "nobody", "mine")[0] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["path", "../../etc"], "the store has no model '../../etc'"),
        (["remove", "x" * 10**4], "the store has no model"),
        (["add", "/nowhere"], "holds no model"),
        (["fetch", "hf://org/name"], "a model's name is"),
        (["fetch", "../../x"], "a model's name is"),
        (["fetch", "nobody"], "'nobody' is not in the table"),
        (["fetch", "perco-sd"], "'perco-sd' is not served by the hub: download it by hand"),
        (["convert", "missing.pt", "-o", "a.safetensors"], "No such file"),
        (["convert", "missing.pt", "--kind", "x", "--name", "y"], "kind 'x' cannot be made"),
    ],
)
def test_errors_are_one_line(run, arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = run(*arguments)
    last = err.splitlines()[-1]
    assert (code, out) == (1, "")
    assert last.startswith("diffc: ")
    assert message in last
    assert len(last) < 400
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["nothing"],
        ["fetch"],
        ["fetch", "a/b", "c/d", "--revision", "main"],
        ["fetch", "a/b", "--variant", "int8"],
        ["convert", "a.pt"],
        ["convert", "a.pt", "--kind", "cod"],
        ["convert", "a.pt", "-o", "b", "--name", "c"],
        ["add"],
    ],
)
def test_wrong_usage_is_code_2(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("usage: diffc models")


# --- conversion -----------------------------------------------------------------------------------


@pytest.fixture
def checkpoint(tmp_path):
    """A released checkpoint."""
    path = tmp_path / "released.pt"
    torch.save({"state_dict": {"a": torch.arange(4.0)}}, path)
    return path


def test_a_checkpoint_is_converted_to_a_file(run, checkpoint, tmp_path):
    target = tmp_path / "a.safetensors"
    assert run("convert", checkpoint, "-o", target) == (0, f"{target}\n", "")
    assert torch.equal(load_file(target)["a"], torch.arange(4.0))


def test_a_checkpoint_is_converted_to_a_model(run, checkpoint, tmp_path, monkeypatch):
    kind = ModelKind("simple", converter="fake_hub:write_simple")
    monkeypatch.setattr(convert, "model_kinds", lambda: {"simple": kind})
    (tmp_path / "c.json").write_text('{"bits": 4}')
    command = ["convert", checkpoint, "--kind", "simple", "--name", "mine"]
    code, out, err = run(*command, "--config", tmp_path / "c.json")
    assert (code, err) == (0, "")
    folder = store.owned_folder("mine")
    assert out == f"mine: simple, fingerprint {identity.fingerprint(folder).hex()}, {folder}\n"
    assert listed(run)["mine",]["state"] == "fetched"
    assert run("remove", "mine")[1].startswith("mine: deleted, ")
    assert not folder.exists()


# --- the network ----------------------------------------------------------------------------------


@pytest.fixture
def served(pipeline, tmp_path, monkeypatch):
    """A hub that serves the pipeline to other processes."""
    pytest.importorskip("huggingface_hub")
    with running_hub() as hub:
        hub.serve("org/pipe", pipeline)
        monkeypatch.setenv("HF_ENDPOINT", hub.address)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        yield hub


def command(*arguments):
    """Run the command in another process."""
    made = subprocess.run(
        [*CLI, "models", *arguments], check=False, capture_output=True, text=True, env=os.environ
    )
    return made.returncode, made.stdout, made.stderr


def test_a_model_is_fetched_from_the_hub(served, pipeline, run):
    code, out, err = command("fetch", "org/pipe")
    assert (code, err) == (
        0,
        "org/pipe: not in the table of known models; its terms are in its model card\n",
    )
    folder = store.owned_folder("org/pipe")
    assert f"in {folder}, from org/pipe at {REVISION}; " in out
    assert "trust on first use" in out
    assert identity.fingerprints(folder) == identity.fingerprints(pipeline)
    assert run("verify", "org/pipe")[:2] == (0, "org/pipe: 7 files as they were\n")
    assert listed(run)["org/pipe",]["state"] == "fetched"
    assert run("path", "org/pipe")[1] == f"{folder}\n"
    (folder / WEIGHTS).write_bytes(b"edited")
    assert "models fetch org/pipe" in run("verify", "org/pipe")[2]
    assert run("remove", "org/pipe")[1].startswith("org/pipe: deleted, ")
    assert not folder.exists()


def test_a_transfer_that_breaks_is_one_line_and_leaves_nothing(served):
    served.altered = WEIGHTS
    code, out, err = command("fetch", "org/pipe")
    assert (code, out) == (1, "")
    assert f"{WEIGHTS} of org/pipe has the SHA-256" in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not store.owned_folder("org/pipe").exists()
    assert list(store.staging_folder().iterdir()) == []


def test_terms_are_said_before_a_transfer(run, monkeypatch):
    entry = known_model(licence="Some Licence", commercial="no", note="for research")
    monkeypatch.setattr(table, "known_models", lambda: {"known": entry})
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    code, _, err = run("fetch", "known")
    terms, error = err.splitlines()
    assert code == 1
    assert terms == ("known: Some Licence (https://example.org), commercial use: no; for research")
    assert 'pip install "diffc[models]"' in error
