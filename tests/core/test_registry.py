"""Codecs by name: who may take one, what is imported when, and what errors say."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import diffc
from diffc import registry
from diffc.builtin_codecs import BUILT_IN as TARGETS
from diffc.builtin_codecs import DEFAULT_CODEC
from diffc.codec import Codec, Coded, DecodeOptions, Encoded, Picture, Rate, option, options_of
from diffc.container import layout
from diffc.container.writer import Envelope
from diffc.errors import CodecNotAvailableError, DiffcWarning
from diffc.options import take_codec

BUILT_IN = sorted(TARGETS)
NOT_NAMES = ["", "Upper", ".hidden", "-dash", "a/b", "../up", "a b", "é", "a\n", "x" * 65, 5, None]

CODEC_MODULE = """
from diffc.codec import Codec
class Found(Codec):
    name = {name!r}
    description = "found"
    def encode(self, picture, rate, progress=None): ...
    @classmethod
    def decode(cls, coded, options): ...
"""


@pytest.fixture(autouse=True)
def _own_tables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", {})
    monkeypatch.setattr(registry, "_loaded", {})
    monkeypatch.setattr(registry, "_usable", {})


def codec_class(codec_name: str, **members: Any) -> type[Codec]:
    """Make a class that is a codec in form."""

    class Empty(Codec):
        name = codec_name

        def encode(self, picture: Picture, rate: Rate, progress: Any = None) -> Encoded:
            raise NotImplementedError

        @classmethod
        def decode(cls, coded: Coded, options: DecodeOptions) -> Any:
            raise NotImplementedError

    for key, value in members.items():
        setattr(Empty, key, value)
    return Empty


@pytest.fixture
def offer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Return a function that installs a distribution with an entry point and its module."""
    before = set(sys.modules)

    def install(distribution: str, name: str, value: str, source: str | None = None) -> None:
        folder = tmp_path / distribution
        metadata = folder / f"{distribution}-1.0.dist-info"
        metadata.mkdir(parents=True)
        (metadata / "METADATA").write_text(f"Name: {distribution}\nVersion: 1.0\n")
        (metadata / "entry_points.txt").write_text(f"[diffc.codecs]\n{name} = {value}\n")
        if source is not None:
            (folder / f"{value.partition(':')[0]}.py").write_text(source)
        monkeypatch.syspath_prepend(str(folder))

    yield install
    for module in set(sys.modules) - before:
        if module.startswith("offered_"):
            del sys.modules[module]


def file_of(codec: str) -> bytes:
    """Return a valid file of a codec that need not exist."""
    envelope = Envelope(codec=codec, bitstream_version=1, mode="RGB", size=(5, 3))
    return envelope.build(b"", b"payload")


# names


@pytest.mark.parametrize("name", NOT_NAMES)
def test_malformed_names_are_not_registered(name: Any) -> None:
    with pytest.raises(ValueError, match=r"choose such a name"):
        diffc.register_codec(name, "package.module:Class")
    assert registry._registered == {}


@pytest.mark.parametrize("name", ["a", "0", "ddcm-2", "a.b_c-d", "x" * 64])
def test_well_formed_names_are_registered(name: str) -> None:
    diffc.register_codec(name, codec_class(name))
    assert registry.load_codec(name).name == name


@pytest.mark.parametrize("name", [each for each in NOT_NAMES if isinstance(each, str)])
def test_malformed_names_lead_nowhere(name: str) -> None:
    with pytest.raises(CodecNotAvailableError):
        registry.load_codec(name)


@pytest.mark.parametrize("name", ["../up", "Upper", "os:system"])
def test_malformed_names_in_a_file_are_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="codec id"):
        file_of(name)
    with monkeypatch.context() as forger:
        forger.setattr(layout, "broken_rule", lambda *fields: None)
        forged = file_of(name)
    with pytest.raises(OSError, match="codec id"):
        diffc.info(forged)
    with pytest.raises(OSError, match="codec id"):
        diffc.decode(forged)


def test_the_name_of_the_format_is_reserved(offer: Any) -> None:
    with pytest.raises(ValueError, match="reserved"):
        diffc.register_codec("diffc", codec_class("diffc"), clobber=True)
    offer("taker", "diffc", "offered_taker:Found")
    with pytest.warns(DiffcWarning, match="taker offers .* 'diffc': it is ignored"):
        assert "diffc" not in diffc.codecs_available()


# registration


def test_a_class_is_registered_by_call_and_by_decorator() -> None:
    called = codec_class("called")
    diffc.register_codec("called", called)
    decorated = diffc.register_codec("decorated")(codec_class("decorated"))
    assert registry.load_codec("called") is called
    assert registry.load_codec("decorated") is decorated
    assert diffc.codecs_available()["called"].origin == "registered"


def test_a_path_is_imported_on_first_use_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "offered_path.py").write_text(CODEC_MODULE.format(name="path"))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "offered_path", raising=False)
    diffc.register_codec("path", "offered_path:Found")
    assert diffc.codecs_available()["path"].installed
    assert diffc.codecs_available()["path"].description == ""
    assert "offered_path" not in sys.modules
    assert registry.load_codec("path").__module__ == "offered_path"
    assert diffc.codecs_available()["path"].description == "found"
    del sys.modules["offered_path"]


@pytest.mark.parametrize("name", ["ddcm", "mine"])
def test_a_name_is_taken_once(name: str) -> None:
    first, second = codec_class(name), codec_class(name)
    if name in BUILT_IN:
        with pytest.raises(ValueError, match="exists"):
            diffc.register_codec(name, first)
    diffc.register_codec(name, first, clobber=name in BUILT_IN)
    for again in (second, "package.module:Class"):
        with pytest.raises(ValueError, match="exists: choose another name, or clobber=True"):
            diffc.register_codec(name, again)
    with pytest.raises(ValueError, match="exists"):
        diffc.register_codec(name)
    assert registry.load_codec(name) is first
    diffc.register_codec(name, second, clobber=True)
    assert registry.load_codec(name) is second


@pytest.mark.parametrize(
    ("codec", "says"),
    [
        ("no colon", "package.module:Class"),
        ("package.module:", "package.module:Class"),
        ("../file:Class", "package.module:Class"),
        (int, "not a subclass"),
        (7, "not a subclass"),
        (codec_class("other"), "is named 'other', not 'mine'"),
        (Codec, "is named None"),
        (type("Half", (Codec,), {"name": "mine"}), "lacks decode and encode"),
    ],
)
def test_what_is_no_codec_is_not_registered(codec: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        diffc.register_codec("mine", codec)
    assert "mine" not in diffc.codecs_available()


# entry points


def test_an_entry_point_is_found_and_imported_on_use(offer: Any) -> None:
    offer("good", "good", "offered_good:Found [extra]", CODEC_MODULE.format(name="good"))
    listed = diffc.codecs_available()["good"]
    assert (listed.installed, listed.origin, listed.weights_licence) == (True, "good", None)
    assert "offered_good" not in sys.modules
    assert registry.load_codec("good").description == "found"


BROKEN = {
    "raises": ("offered_raises:Found", "raise RuntimeError('half installed')", "half installed"),
    "exits": ("offered_exits:Found", "raise SystemExit(3)", "SystemExit"),
    "lacks": ("offered_lacks:Found", "", "AttributeError"),
    "absent": ("offered_absent:Found", None, "ModuleNotFoundError"),
    "malformed": ("offered malformed", None, "not of the form"),
    "nameless": (":Found", None, "not of the form"),
    "named": ("offered_named:Found", CODEC_MODULE.format(name="otherwise"), "'otherwise'"),
    "function": ("offered_function:Found", "def Found(): ...", "not a subclass"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_package_breaks_its_own_codec_only(offer: Any, name: str) -> None:
    value, source, says = BROKEN[name]
    offer("good", "good", "offered_good:Found", CODEC_MODULE.format(name="good"))
    offer(f"broken-{name}", name, value, source)
    listed = diffc.codecs_available()
    assert listed[name].installed == (source is not None)
    with pytest.raises(CodecNotAvailableError, match=says) as caught:
        registry.load_codec(name)
    assert f"codec {name!r}" in str(caught.value)
    assert registry.load_codec("good").name == "good"
    assert registry.load_codec("ddcm").name == "ddcm"


def test_an_error_names_the_package_to_repair(offer: Any) -> None:
    offer("broken", "broken", "offered_broken:Found", "import no_such_module")
    with pytest.raises(CodecNotAvailableError, match="pip install --force-reinstall broken"):
        registry.load_codec("broken")
    diffc.register_codec("absent", "no_such_module:Class")
    with pytest.raises(CodecNotAvailableError, match="'no_such_module:Class' can be imported"):
        registry.load_codec("absent")


def test_a_built_in_codec_wins_over_an_entry_point(offer: Any) -> None:
    offer("taker", "ddcm", "offered_taker:Found", CODEC_MODULE.format(name="ddcm"))
    with pytest.warns(DiffcWarning, match="taker offers a codec 'ddcm', which is built in"):
        listed = diffc.codecs_available()
    assert listed["ddcm"].origin == "built in"
    assert registry.load_codec("ddcm").__module__ == "diffc.codecs.ddcm.codec"


def test_a_registered_codec_wins_over_an_entry_point(offer: Any) -> None:
    offer("taker", "mine", "offered_taker:Found", CODEC_MODULE.format(name="mine"))
    mine = codec_class("mine")
    diffc.register_codec("mine", mine)
    assert registry.load_codec("mine") is mine


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one")])
def test_of_two_entry_points_the_same_one_wins_in_any_order(
    offer: Any, order: tuple[str, str]
) -> None:
    for each in order:
        offer(each, "both", f"offered_{each}:Found", CODEC_MODULE.format(name="both"))
    with pytest.warns(DiffcWarning, match="two offers a codec 'both' as one does"):
        assert registry.load_codec("both").__module__ == "offered_one"


def test_all_that_others_offer_is_imported_where_models_are_asked_for(offer: Any) -> None:
    offer("good", "good", "offered_good:Found", CODEC_MODULE.format(name="good"))
    offer("bad", "bad", "offered_bad:Found", "import no_such_module")
    assert "good" not in registry.declarations()
    with pytest.warns(DiffcWarning, match="codec 'bad' cannot be imported .*no_such_module"):
        registry.import_offered()
    assert registry.declarations()["good"].__module__ == "offered_good"
    assert "bad" not in registry.declarations()


def test_a_malformed_entry_point_name_is_ignored_aloud(offer: Any) -> None:
    offer("shouting", "LOUD", "offered_loud:Found")
    with pytest.warns(DiffcWarning, match="shouting offers .* invalid name 'LOUD'"):
        assert "LOUD" not in diffc.codecs_available()


# files


def test_a_file_of_an_unknown_codec_opens_and_says_what_is_missing() -> None:
    data = file_of("nobodys")
    with Image.open(io.BytesIO(data)) as image:
        assert (image.size, image.mode) == ((5, 3), "RGB")
        assert image.info["diffc"]["codec"] == "nobodys"
        with pytest.raises(CodecNotAvailableError, match="'nobodys' is not installed") as caught:
            image.load()
    assert "install the package that offers 'nobodys'" in str(caught.value)
    assert "ddcm" in str(caught.value)
    # a file must not choose what its reader installs
    assert "pip" not in str(caught.value)
    assert diffc.info(data).codec == "nobodys"
    with pytest.raises(CodecNotAvailableError, match="nobodys"):
        diffc.decode(data)


def test_encoding_with_an_unknown_codec_is_the_callers_error() -> None:
    with pytest.raises(ValueError, match=r"backend='nobodys'.*here are: .*ddcm"):
        diffc.encode(Image.new("RGB", (5, 3)), backend="nobodys")


# lists


@pytest.mark.parametrize("name", BUILT_IN)
def test_the_table_says_what_the_class_says(name: str) -> None:
    listed = diffc.codecs_available()[name]
    if not listed.installed:
        pytest.skip(f"{name} needs packages that are not here")
    codec = registry.load_codec(name)
    assert listed.description == codec.description
    assert listed.models == codec.model_names()
    assert listed.weights_licence == codec.weights_licence
    assert diffc.codecs_available()[name] == listed
    assert listed.rates == codec.rates
    assert listed.options == tuple(each.name for each in options_of(codec))


def test_the_default_codec_is_built_in() -> None:
    assert DEFAULT_CODEC in BUILT_IN


def test_listing_imports_nothing_heavy(offer: Any, tmp_path: Path) -> None:
    offer("good", "good", "offered_good:Found", "raise RuntimeError('imported')")
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path / 'good')!r})\n"
        "import diffc\n"
        "listed = diffc.codecs_available()\n"
        "assert 'good' in listed and 'ddcm' in listed, listed\n"
        "assert 'target_psnr' in listed['ddcm'].options, listed['ddcm']\n"
        "heavy = {'torch', 'numpy', 'safetensors', 'offered_good'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert ran.returncode == 0, ran.stderr.decode()


def test_a_missing_dependency_shows_in_the_list(monkeypatch: pytest.MonkeyPatch) -> None:
    find = registry.util.find_spec
    monkeypatch.setattr(
        registry.util, "find_spec", lambda name: None if name == "torch" else find(name)
    )
    assert not diffc.codecs_available()["ddcm"].installed


def test_options_of_registered_codecs_are_known_to_the_others() -> None:
    @diffc.register_codec("other")
    @dataclass(frozen=True)
    class Other(codec_class("other")):  # type: ignore[misc]
        sharpness: int = option(0, help="of edges")

    diffc.register_codec("third", codec_class("third"))
    for keyword in ("sharpness", "target_psnr"):
        with pytest.raises(ValueError, match=f"{keyword!r} is not an option of codec 'third'"):
            take_codec({keyword: 3}, registry.load_codec("third"), strict=False)
    made = take_codec({"sharpness": 3}, Other, strict=True)
    assert made == Other(sharpness=3)
