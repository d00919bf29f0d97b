"""Codecs under test: their specs, the search for a quality, and the files that come of it."""

from __future__ import annotations

import io

import pytest
from codecs_for_tests import PlanesCodec
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, features

import diffc
from diffc.bench.contenders.contender import Repeatable
from diffc.bench.contenders.host_codecs import HOST_CODECS
from diffc.bench.contenders.lookup import OfferedContender, contender, contenders, known
from diffc.bench.contenders.shrunk import SCALES, highest_fitting, shrunk_size
from diffc.bench.contenders.specs import label_of, parse_spec, slug, split_specs
from diffc.errors import RateError

NEEDS = {"heic": "pillow_heif", "jxl": "pillow_jxl"}
FEATURES = {"webp": "webp", "avif": "avif", "jpeg2000": "jpg_2000"}


def ready(name):
    """Skip where a codec's package is missing."""
    plain = name.removesuffix("-ds")
    if plain in NEEDS:
        pytest.importorskip(NEEDS[plain])
    if plain in FEATURES and not features.check(FEATURES[plain]):
        pytest.skip(f"this Pillow has no {plain}")
    return name


def difference(first, second):
    """Return a distance: the sum of squared differences."""
    pairs = zip(first.tobytes(), second.tobytes(), strict=True)
    return float(sum((a - b) ** 2 for a, b in pairs))


# --- specs ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("texts", "specs"),
    [
        (["avif"], ["avif"]),
        (["avif,avif-ds", "webp"], ["avif", "avif-ds", "webp"]),
        (["ddcm:steps=20,atoms=4,avif"], ["ddcm:steps=20,atoms=4", "avif"]),
        (["ddcm, steps=2 ,jpeg"], ["ddcm:steps=2", "jpeg"]),
        (["perco:model=/a/b:c,decode.steps=2"], ["perco:model=/a/b:c,decode.steps=2"]),
        (["ddcm,ddcm:steps=2"], ["ddcm", "ddcm:steps=2"]),
    ],
)
def test_a_key_and_value_after_a_comma_belongs_to_the_codec_before_it(texts, specs):
    assert split_specs(texts) == specs


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["avif,,webp"], "single commas"),
        ([""], "single commas"),
        (["steps=2,ddcm"], "begins with an option"),
        (["avif", "steps=2"], "begins with an option"),
        (["avif", "webp,avif"], "'avif' is given twice"),
    ],
)
def test_lists_that_are_none_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        split_specs(texts)


def test_options_are_json_or_texts():
    spec = "perco:model=a/b,guidance=2.5,atoms=null,some-thing=x=y"
    options = {"model": "a/b", "guidance": 2.5, "atoms": None, "some_thing": "x=y"}
    assert parse_spec(spec) == ("perco", options)
    assert parse_spec("avif") == ("avif", {})
    # too deep to be read as JSON
    assert parse_spec(f"perco:a={'[' * 20_000}") == ("perco", {"a": "[" * 20_000})
    for wrong in ("", ":a=1", "ddcm:", "ddcm:steps", "ddcm:a=1,a=2"):
        with pytest.raises(ValueError, match=r"KEY=VALUE|comes twice"):
            parse_spec(wrong)


def test_labels_hold_no_folders():
    assert label_of("perco:model=/home/me/tiny/,steps=2") == "perco:model=tiny,steps=2"
    assert label_of(r"perco:model=C:\me\tiny") == "perco:model=tiny"
    assert label_of("avif-ds") == "avif-ds"


def test_slugs_are_file_names_and_differ():
    texts = [
        "avif-ds",
        "ddcm:steps=2",
        "ddcm-steps-2",
        "Ddcm",
        "ddcm",
        "..",
        "ä",
        "ö",
        "a/b",
        "x" * 99,
    ]
    slugs = [slug(each) for each in texts]
    assert slugs[0] == "avif-ds"
    assert len(set(slugs)) == len(texts)
    for each in slugs:
        assert each.strip("abcdefghijklmnopqrstuvwxyz0123456789._-") == ""
        assert each
        assert each[0] != "."
        assert len(each) < 60


# --- the search -----------------------------------------------------------------------------------


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=200),
    st.integers(1, 10_000),
    st.integers(0, 12_000),
)
def test_the_search_finds_the_largest_of_sizes_that_rise(steps, first, limit):
    sizes = [first]
    for step in steps:
        sizes.append(sizes[-1] + step)
    fitting = [level for level, size in enumerate(sizes) if size <= limit]
    expected = max(fitting, default=None)
    assert highest_fitting(sizes.__getitem__, len(steps), limit) == expected


@given(st.lists(st.integers(1, 1000), min_size=1, max_size=100), st.integers(0, 1100))
def test_the_search_finds_what_fits_in_any_sizes(sizes, limit):
    tried = []

    def size(level):
        tried.append(level)
        return sizes[level]

    level = highest_fitting(size, len(sizes) - 1, limit)
    if sizes[0] > limit:
        assert level is None
    else:
        assert sizes[level] <= limit
        assert level == max(each for each in tried if sizes[each] <= limit)
        assert level == len(sizes) - 1 or sizes[level + 1] > limit


def test_the_search_is_short_and_may_stop_early():
    sizes = [round(100 * 1.05**level) for level in range(1001)]
    tried = []

    def size(level):
        tried.append(level)
        return sizes[level]

    assert sizes[highest_fitting(size, 1000, 5000)] <= 5000
    assert len(tried) <= 8
    found = highest_fitting(size, 1000, 5000, tolerance=0.1)
    assert 4500 <= sizes[found] <= 5000


# --- codecs of Pillow -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOST_CODECS)
def test_a_host_codec_gives_its_highest_quality_that_fits(name, photo):
    codec = contender(ready(name), None, None)
    limits = [800, 1500, 3000]
    made = [codec.encode(photo, limit) for limit in limits]
    for limit, attempt in zip(limits, made, strict=True):
        assert len(attempt.data) <= limit
        picture = codec.decode(attempt.data, photo.size)
        assert (picture.mode, picture.size) == ("RGB", photo.size)
        assert isinstance(codec, Repeatable)
        assert codec.encode_again(photo, attempt.setting) == attempt.data
        # the next quality is too much
        host = HOST_CODECS[name]
        value = float(attempt.setting.partition("=")[2])
        (level,) = [n for n in range(host.highest + 1) if float(host.value_of(n)) == value]
        if level < host.highest and not host.tolerance:
            assert len(host.encode(photo, host.value_of(level + 1))) > limit
    assert len(made[0].data) <= len(made[-1].data)
    with Image.open(io.BytesIO(made[0].data)) as image:
        assert image.format == HOST_CODECS[name].format


@pytest.mark.parametrize("name", ["jpeg", "webp-ds"])
def test_out_of_reach_the_smallest_file_is_given(name, photo):
    codec = contender(ready(name), difference, None)
    attempt = codec.encode(photo, 10)
    assert len(attempt.data) > 10
    lowest = HOST_CODECS[name.removesuffix("-ds")].value_of(0)
    assert attempt.setting.startswith(f"quality={lowest}")
    assert codec.decode(attempt.data, photo.size).size == photo.size


def test_metadata_is_in_no_file(photo):
    pytest.importorskip("pillow_heif")
    codec = contender("heic", None, None)
    assert b"Exif" not in codec.encode(photo, 3000).data


@pytest.mark.parametrize("name", ["jpeg-ds", "webp-ds", "avif-ds"])
def test_a_shrunk_codec_is_the_best_by_the_distance(name, photo):
    shrunk, plain = contenders([ready(name), name.removesuffix("-ds")], difference, None)
    limit = 900
    attempt, own = shrunk.encode(photo, limit), plain.encode(photo, limit)
    assert len(attempt.data) <= limit
    assert attempt.setting.rpartition("scale=")[2] in SCALES
    picture = shrunk.decode(attempt.data, photo.size)
    assert picture.size == photo.size
    if len(own.data) <= limit:
        assert difference(photo, picture) <= difference(photo, plain.decode(own.data))
    assert isinstance(shrunk, Repeatable)
    assert shrunk.encode_again(photo, attempt.setting) == attempt.data


def test_a_shrunk_file_needs_the_size_unless_it_was_just_made(photo):
    one, other = (contender("jpeg-ds", difference, None) for _ in range(2))
    attempt = one.encode(photo, 700)
    assert one.decode(attempt.data).size == photo.size
    with pytest.raises(ValueError, match="pass the size"):
        other.decode(attempt.data)


def test_scales_round_and_end_at_one_pixel():
    assert [shrunk_size((768, 511), each) for each in SCALES] == [
        (768, 511),
        (512, 341),
        (384, 256),
        (256, 170),
    ]
    assert shrunk_size((1, 2), "1/3") == (1, 1)
    codec = contender("jpeg-ds", difference, None)
    tiny = Image.new("RGB", (1, 1), "red")
    assert codec.decode(codec.encode(tiny, 10_000).data, (1, 1)).size == (1, 1)


def test_no_file_is_made_twice(photo, monkeypatch):
    ready("webp")
    made = []
    encode = type(HOST_CODECS["webp"]).encode

    def counting(self, picture, value):
        made.append((picture.size, value))
        return encode(self, picture, value)

    monkeypatch.setattr(type(HOST_CODECS["webp"]), "encode", counting)
    both = contenders(["webp", "webp-ds"], difference, None)
    for each in both:
        for limit in (700, 900, 1200):
            each.encode(photo, limit)
    assert len(made) == len(set(made))


def test_a_result_does_not_depend_on_what_was_asked_before(photo):
    ready("webp")
    limits = (600, 700, 900, 1200)
    fresh = [contender("webp-ds", difference, None).encode(photo, limit) for limit in limits]
    (used,) = contenders(["webp-ds"], difference, None)
    assert [used.encode(photo, limit) for limit in reversed(limits)] == fresh[::-1]


# --- codecs of the registry -----------------------------------------------------------------------


def test_a_registered_codec_makes_a_file_for_the_limit(photo):
    codec = contender("planes:planes=3", None, None)
    attempt = codec.encode(photo, 4000)
    assert len(attempt.data) == 4000
    assert diffc.info(attempt.data).codec == "planes"
    assert codec.decode(attempt.data).size == photo.size
    assert (codec.extension, codec.label) == (".diffc", "planes:planes=3")


def test_out_of_reach_a_registered_codec_makes_the_nearest_file(photo):
    codec = contender("planes", None, None)
    lowest = codec.encode(photo, 0)
    assert 10 < len(lowest.data) < 40
    with pytest.raises(ValueError, match=f"files of {len(lowest.data)} to") as caught:
        diffc.encode(photo, backend="planes", target_size=5)
    assert isinstance(caught.value.__cause__, RateError)
    # above its best, too
    highest = codec.encode(photo, 10**6)
    assert len(highest.data) > 3 * 96 * 64
    assert codec.decode(highest.data).tobytes() == photo.tobytes()


def test_ddcm_reaches_its_lowest_rate(photo, ddcm_model):
    codec = contender(f"ddcm:model={ddcm_model},steps=5", None, None)
    lowest = codec.encode(photo, 1)
    assert diffc.info(lowest.data).payload_bytes == 0
    assert codec.decode(lowest.data).size == photo.size
    assert len(codec.encode(photo, 200).data) <= 200


def test_options_go_to_the_encoder_or_to_the_decoder(photo, tmp_path):
    spec = f"planes:decode.steps=4,device=cpu,model={tmp_path}"
    codec = contender(spec, None, "nowhere")
    codec.decode(codec.encode(photo, 4000).data)
    options = PlanesCodec.options
    assert options is not None
    assert (options.steps, options.device, options.model) == (4, "cpu", str(tmp_path))
    contender("planes", None, "cpu").decode(codec.encode(photo, 4000).data)
    assert PlanesCodec.options.device == "cpu"
    assert PlanesCodec.options.steps is None
    # a name is the encoder's only
    contender("planes:model=tiny", None, None).decode(codec.encode(photo, 4000).data)
    assert PlanesCodec.options.model is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("nobody", "there is no codec 'nobody': there are jpeg, jpeg-ds, "),
        ("avif:speed=2", "'avif' has no options"),
        ("planes:steps=4", "'steps' is not an option of codec 'planes'"),
        ("planes:planes=9", "planes is a whole number from 1 to 8"),
        ("planes:bpp=1", "'bpp' is not an option"),
        ("planes:decode.progress=1", "decode.progress is no option of decoding"),
        ("planes:decode.steps=-1", "steps is 0 to 1000"),
        ("jpeg-ds", "chooses its scale by a distance"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(spec, message):
    with pytest.raises(ValueError, match=message):
        contender(spec, None, None)


def test_a_missing_package_is_named(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "pillow_jxl", None)
    with pytest.raises(ValueError, match=r'pillow-jxl-plugin.*pip install "diffc\[bench\]"'):
        contender("jxl", None, None)


# --- codecs of other packages ---------------------------------------------------------------------

FOREIGN = """
from diffc.bench.contenders.contender import Attempt
from PIL import Image


class Flat:
    extension = ".flat"

    def __init__(self, options, device):
        self.spec = self.label = "flat"
        self.options, self.device = options, device

    def encode(self, image, limit):
        return Attempt(bytes(image.resize((1, 1)).getpixel((0, 0))), "flat")

    def decode(self, data, size=None):
        return Image.new("RGB", size, tuple(data))


def make(options, device):
    if set(options) - {"depth"}:
        raise ValueError("flat has the option depth: drop others")
    options = {name: int(value) for name, value in options.items()}
    return Flat(options, device)


def half(options, device):
    made = Flat(options, device)
    return type("Half", (), {"label": "half", "extension": ".h", "encode": made.encode})()
"""


@pytest.fixture
def foreign(tmp_path, monkeypatch):
    """A package that offers contenders."""
    (tmp_path / "flat_for_tests.py").write_text(FOREIGN)
    info = tmp_path / "flat_for_tests-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: flat-for-tests\nVersion: 1\n")
    points = "flat = flat_for_tests:make\ngone = flat_for_tests:gone\n"
    points += "half = flat_for_tests:half\n"
    (info / "entry_points.txt").write_text(f"[diffc.contenders]\n{points}")
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("foreign")
def test_another_package_offers_a_codec(photo):
    assert "flat" in known()
    codec = contender("flat:depth=8", None, "cpu")
    assert isinstance(codec, OfferedContender)
    assert (codec.spec, codec.identity()) == ("flat:depth=8", "flat-for-tests 1")
    assert (codec.made.options, codec.made.device) == ({"depth": 8}, "cpu")
    assert not isinstance(codec, Repeatable)
    attempt = codec.encode(photo, 10)
    assert len(attempt.data) == 3
    assert codec.decode(attempt.data, photo.size).size == photo.size
    with pytest.raises(ValueError, match="flat has the option depth"):
        contender("flat:size=8", None, None)
    with pytest.raises(ValueError, match="'gone' cannot be imported"):
        contender("gone", None, None)
    with pytest.raises(ValueError, match=r"'flat:depth=null' cannot be made \(TypeError: "):
        contender("flat:depth=null", None, None)
    with pytest.raises(ValueError, match="it has no decode: tell the author"):
        contender("half", None, None)


@pytest.mark.usefixtures("foreign")
def test_two_codecs_of_one_factory_have_rows_of_their_own(photo, tmp_path):
    from diffc.bench.run.preparation import prepare
    from diffc.bench.run.records import RowStore
    from diffc.bench.run.run_file import read_run
    from diffc.bench.run.runner import run

    photo.save(tmp_path / "a.png")
    out, specs = tmp_path / "out", ["flat:depth=8", "flat:depth=2"]
    assert run(prepare([tmp_path / "a.png"], specs, [1.0], out)) == 0
    assert [row.codec for row in RowStore(out).rows()] == specs
    assert list(read_run(out).labels.values()) == ["flat", "flat (2)"]
    # what is added later is told apart, too
    run(prepare([tmp_path / "a.png"], ["flat"], [1.0], out))
    assert read_run(out).labels["flat"] == "flat (3)"


def test_restored_pictures_are_a_contender(photo):
    plain, restored = (contender(spec, None, None) for spec in ("jpeg", "restore:from=jpeg"))
    attempt = restored.encode(photo, 1500)
    assert attempt == plain.encode(photo, 1500)
    assert (restored.label, restored.extension) == ("JPEG restored", ".jpg")
    shown = restored.decode(attempt.data)
    assert (shown.mode, shown.size) == ("RGB", photo.size)
    assert shown.tobytes() != plain.decode(attempt.data).tobytes()
    assert shown.tobytes() == diffc.restore(attempt.data).convert("RGB").tobytes()
    assert contender("restore:from=webp,realism=0", None, None).label == "WebP restored (realism=0)"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        ("restore", "write restore:from=jpeg"),
        ("restore:from=relay", "not 'relay'"),
        ("restore:from=jpeg,depth=3", "no option 'depth'"),
    ],
)
def test_wrong_restored_contenders_are_refused(spec, sentence):
    with pytest.raises(ValueError, match=sentence):
        contender(spec, None, None)
