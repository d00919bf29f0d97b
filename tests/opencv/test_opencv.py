"""OpenCV's functions with DIFFC files among the formats, compared with OpenCV itself."""

from __future__ import annotations

import io
import os
import pickle
from pathlib import Path

import pytest
from PIL import Image

import diffc
from diffc import registry
from diffc.adapters import opencv
from diffc.adapters.opencv import constants
from diffc.adapters.opencv.pixels import reduce_by

cv2 = pytest.importorskip("cv2")
np = pytest.importorskip("numpy")
dcv = pytest.importorskip("diffc.cv")

MODES = ["L", "LA", "RGB", "RGBA"]


@pytest.fixture(scope="module")
def pixels():
    """BGR, 33x21 as sides that no reduction divides."""
    rows, columns = np.mgrid[:21, :33]
    return np.stack([rows * 12, columns * 7, (rows * columns) % 256], 2).astype(np.uint8)


@pytest.fixture(scope="module")
def encoded(pixels, model):
    """A DIFFC file of each mode, with an EXIF orientation of 6."""
    exif = Image.Exif()
    exif[0x112] = 6
    image = Image.fromarray(pixels[:, :, ::-1].copy())
    image.putalpha(Image.linear_gradient("L").resize(image.size))
    return {
        mode: diffc.encode(image.convert(mode), quality=10, model=model, exif=exif)
        for mode in MODES
    }


@pytest.fixture
def logged(caplog):
    caplog.set_level("WARNING", logger="diffc")
    return caplog


def buffer(data):
    return np.frombuffer(data, np.uint8)


def png_of(data):
    """The same pixels and orientation as a PNG, for OpenCV to read."""
    with Image.open(io.BytesIO(data)) as image:
        out = io.BytesIO()
        image.save(out, "PNG", exif=image.info["exif"])
    return buffer(out.getvalue())


# --- C1: BGR round trip ---------------------------------------------------------------------------


def test_same_bytes_and_pixels_as_through_pillow_with_channels_reversed(tmp_path, pixels, model):
    path = tmp_path / "a.diffc"
    assert dcv.imwrite(path, pixels, bpp=1.5, model=model) is True
    rgb = Image.fromarray(pixels[:, :, ::-1].copy())
    assert path.read_bytes() == diffc.encode(rgb, bpp=1.5, model=model)
    with Image.open(path) as image:
        expected = np.array(image)[:, :, ::-1]
    np.testing.assert_array_equal(dcv.imread(path), expected)
    np.testing.assert_array_equal(dcv.imread(os.fsencode(path)), expected)
    np.testing.assert_array_equal(dcv.imread(str(path), dcv.IMREAD_UNCHANGED), expected)
    np.testing.assert_array_equal(dcv.imdecode(buffer(path.read_bytes()), 1), expected)


@pytest.mark.parametrize(
    ("shape", "mode"), [((21, 33), "L"), ((21, 33, 1), "L"), ((21, 33, 4), "RGBA"), ((33,), "L")]
)
def test_channels_written(pixels, model, shape, mode):
    array = np.resize(pixels, shape)
    ok, data = dcv.imencode(".diffc", array, model=model, quality=5)
    assert ok is True
    assert (data.ndim, data.dtype, data.flags.writeable) == (1, np.uint8, True)
    assert diffc.info(data.tobytes()).mode == mode
    if mode == "RGBA":
        decoded = dcv.imdecode(data, dcv.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(decoded[:, :, 3], array[:, :, 3])


def test_views_and_umats_are_written_as_their_pixels(pixels, model):
    _, expected = dcv.imencode(".diffc", pixels[:, ::-1].copy(), model=model, quality=5)
    _, of_view = dcv.imencode(".DIFFC", pixels[:, ::-1], model=model, quality=5)
    _, of_umat = dcv.imencode("x.diffc", cv2.UMat(pixels[:, ::-1].copy()), model=model, quality=5)
    assert of_view.tobytes() == expected.tobytes() == of_umat.tobytes()


# --- C2: what is returned, what is raised ---------------------------------------------------------


def test_imread_returns_none_for_missing_and_foreign_files(tmp_path, logged):
    (tmp_path / "text").write_text("no image at all")
    (tmp_path / "empty").write_bytes(b"")
    for name in ("missing.diffc", "text", "empty", "."):
        assert dcv.imread(tmp_path / name) is None
        assert cv2.imread(tmp_path / name) is None
    assert not logged.records  # OpenCV has said it


def test_imread_and_imdecode_return_none_for_damaged_files_and_log_why(tmp_path, encoded, logged):
    data = encoded["RGB"]
    damaged = bytearray(data)
    damaged[-1] ^= 1
    for each in (data[:-1], data[:20], bytes(damaged)):
        path = tmp_path / "a.diffc"
        path.write_bytes(each)
        logged.clear()
        assert dcv.imread(path) is None
        assert dcv.imdecode(buffer(each), 1) is None
        assert [record.args[0] for record in logged.records] == ["imread", "imdecode"]


def test_imread_returns_none_for_a_missing_model_and_logs_which(
    tmp_path, encoded, logged, monkeypatch
):
    monkeypatch.delenv("DIFFC_MODELS")
    path = tmp_path / "a.diffc"
    path.write_bytes(encoded["RGB"])
    assert dcv.imread(path) is None
    assert diffc.info(path).model in logged.text


def test_unreadable_relatives_are_none_with_the_reason(tmp_path, logged):
    research = (8).to_bytes(4, "little") + b"\x10\0\x10\0\5\0" + b"\x78\x9c\x03\0\0\0\0\1"
    assert dcv.imdecode(buffer(research), 1) is None
    assert "DiffC research code" in logged.text
    logged.clear()
    (tmp_path / "new.diffc").write_bytes(b"\xd1\xfc\r\n\x0f" + bytes(40))
    assert dcv.imread(tmp_path / "new.diffc") is None
    assert "newer container version" in logged.text


@pytest.mark.parametrize("filename", [3, 1.5, ["a"]])
def test_a_filename_that_is_none_is_an_error(filename, pixels):
    for module in (cv2, dcv):
        with pytest.raises(cv2.error):
            module.imread(filename)
        with pytest.raises(cv2.error):
            module.imwrite(filename, pixels)


@pytest.mark.parametrize(
    "buf",
    [b"bytes", None, np.zeros(0, np.uint8), np.zeros((2, 9), np.uint8), [1, 2]],
    ids=["bytes", "None", "empty", "matrix", "list"],
)
def test_imdecode_refuses_what_opencv_refuses(buf):
    for module in (cv2, dcv):
        with pytest.raises(cv2.error):
            module.imdecode(buf, 1)


def test_imdecode_takes_the_buffers_opencv_takes(encoded):
    data = encoded["RGB"]
    expected = dcv.imdecode(buffer(data), -1)
    row = buffer(data)
    for each in (row[None], row[:, None], row.view(np.int8), np.repeat(row, 2)[::2]):
        np.testing.assert_array_equal(dcv.imdecode(each, -1), expected)
    assert dcv.imdecode(buffer(b"hello world"), 1) is None
    assert dcv.imdecode(np.array(5, np.uint8), 1) is None


def test_imwrite_returns_false_where_it_cannot_write(tmp_path, pixels, model, logged):
    (tmp_path / "folder.diffc").mkdir()
    for target in (tmp_path / "missing" / "a.diffc", tmp_path / "folder.diffc"):
        logged.clear()
        assert dcv.imwrite(target, pixels, model=model, quality=0) is False
        assert len(logged.records) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "folder.diffc"]


@pytest.mark.parametrize(
    "image",
    [
        None,
        [1, 2],
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((4, 4, 2), np.uint8),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((4, 4), np.complex64),
        np.zeros((4, 4), object),
    ],
    ids=["None", "list", "empty", "2 channels", "5 channels", "complex", "object"],
)
def test_images_that_opencv_refuses(tmp_path, image):
    for module, name in ((cv2, "a.png"), (dcv, "a.diffc")):
        with pytest.raises(cv2.error):
            module.imwrite(tmp_path / name, image)
        with pytest.raises(cv2.error):
            module.imencode(name, image)
    assert not list(tmp_path.iterdir())


def test_unknown_extensions_are_errors(tmp_path, pixels):
    for name in ("a.foo", "a", "diffc", "a.diffc.gz"):
        with pytest.raises(cv2.error):
            dcv.imwrite(tmp_path / name, pixels)
        with pytest.raises(cv2.error):
            dcv.imencode(name, pixels)
    with pytest.raises(cv2.error):
        dcv.imencode(Path("a.diffc"), pixels)


def test_errors_are_opencvs_and_ours_and_survive_pickling(pixels):
    with pytest.raises(dcv.error, match="above 0") as caught:
        dcv.imencode(".diffc", pixels, bpp=-1)
    error = pickle.loads(pickle.dumps(caught.value))
    for each in (caught.value, error):
        assert isinstance(each, cv2.error)
        assert isinstance(each, ValueError)
        assert "bpp" in str(each)
    assert caught.value.err == str(caught.value)


def test_a_picture_too_large_is_an_error_as_in_opencv(encoded, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(cv2.error, match="limit"):
        dcv.imdecode(buffer(encoded["RGB"]), 1)


def test_a_failed_write_leaves_the_file_that_was_there(tmp_path, pixels, model):
    path = tmp_path / "a.diffc"
    path.write_bytes(b"old")
    with pytest.raises(cv2.error, match="target_size=10"):
        dcv.imwrite(path, pixels, target_size=10, model=model)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


# --- C3: flags ------------------------------------------------------------------------------------

FLAGS = [-1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 12]
FLAGS += [
    base | more
    for base in (0, 1, 2, 4, 7, 8, 256)
    for more in (16, 32, 64, 128, 144, 48, 96, 256, 272)
]
FLAGS += [512, 1024, -2, -3, -128, -129, -256]


@pytest.mark.parametrize("mode", MODES)
def test_flags_give_what_opencv_gives(encoded, mode, monkeypatch):
    picture = diffc.decode(encoded[mode])
    # decoded once for all flags
    monkeypatch.setattr(opencv, "decode", lambda _: picture)
    png = png_of(encoded[mode])
    refused = 0
    for flags in sorted(set(FLAGS)):
        try:
            expected = cv2.imdecode(png, flags)
        except cv2.error:
            refused += 1
            with pytest.raises(cv2.error):
                dcv.imdecode(buffer(encoded[mode]), flags)
            continue
        found = dcv.imdecode(buffer(encoded[mode]), flags)
        assert (found.shape, found.dtype) == (expected.shape, expected.dtype), flags
        assert found.flags.c_contiguous
        assert found.flags.writeable
        # libpng weighs colours by another rounding when it makes grey
        tolerance = 2 if found.ndim == 2 and mode.startswith("RGB") else 0
        np.testing.assert_allclose(found.astype(int), expected, rtol=0, atol=tolerance)
    assert 0 < refused < len(FLAGS) / 2


def test_grey_is_that_of_cvtcolor(encoded):
    data = buffer(encoded["RGB"])
    colour = dcv.imdecode(data, dcv.IMREAD_COLOR)
    expected = cv2.cvtColor(colour, cv2.COLOR_BGR2GRAY)
    np.testing.assert_array_equal(dcv.imdecode(data, dcv.IMREAD_GRAYSCALE), expected)


def test_reduction_is_that_of_resize():
    generator = np.random.default_rng(0)
    for _ in range(60):
        height, width = (int(each) for each in generator.integers(8, 70, 2))
        array = generator.integers(0, 256, (height, width, 3), np.uint8)
        for by in (2, 4, 8):
            size = (width // by, height // by)
            expected = cv2.resize(array, size, interpolation=cv2.INTER_LINEAR_EXACT)
            np.testing.assert_array_equal(reduce_by(array, by), expected)


@pytest.mark.parametrize("orientation", range(10))
def test_every_orientation(pixels, model, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    _, data = dcv.imencode(".diffc", pixels, quality=0, model=model, exif=exif)
    np.testing.assert_array_equal(dcv.imdecode(data, 1), cv2.imdecode(png_of(data.tobytes()), 1))


def test_metadata_that_is_no_exif_rotates_nothing(pixels, model):
    _, data = dcv.imencode(".diffc", pixels, quality=0, model=model, exif=b"Exif\0\0II*\0garbage")
    assert dcv.imdecode(data, 1).shape == pixels.shape


def test_too_small_to_reduce_is_an_error_as_in_opencv(pixels, model):
    small = pixels[:4, :6]
    for data in (
        cv2.imencode(".png", small)[1],
        dcv.imencode(".diffc", small, model=model, quality=0)[1],
    ):
        assert dcv.imdecode(data, dcv.IMREAD_REDUCED_COLOR_4).shape == (1, 1, 3)
        with pytest.raises(cv2.error):
            dcv.imdecode(data, dcv.IMREAD_REDUCED_COLOR_8)


@pytest.mark.parametrize("flags", [1.5, True, "1"])
def test_flags_are_whole_numbers(tmp_path, encoded, flags):
    path = tmp_path / "a.diffc"
    path.write_bytes(encoded["L"])
    with pytest.raises(cv2.error, match="whole number"):
        dcv.imread(path, flags)
    assert dcv.imread(path, None).shape == dcv.imread(path, np.int64(1)).shape


def test_constants_are_opencvs():
    ours = {name: value for name, value in vars(dcv).items() if name.startswith("IMREAD_")}
    theirs = {name: value for name, value in vars(cv2).items() if name.startswith("IMREAD_")}
    assert len(ours) == 15
    assert {name: value for name, value in ours.items() if theirs.get(name, value) != value} == {}
    private = {value for name, value in vars(dcv).items() if name.startswith("IMWRITE_DIFFC_")}
    known = {value for name, value in vars(cv2).items() if name.startswith("IMWRITE_")}
    assert not {value for value in private if value > 100} & known


# --- C4: lists of parameters and keywords ---------------------------------------------------------


def test_lists_say_the_same_as_keywords(pixels, model, ddcm_model):
    for params, keywords in (
        ([dcv.IMWRITE_DIFFC_QUALITY, 30], {"quality": 30}),
        ((dcv.IMWRITE_DIFFC_BPP_X10000, 15_000), {"bpp": 1.5}),
        (np.array([dcv.IMWRITE_DIFFC_TARGET_SIZE, 90]), {"target_size": 90}),
        ([dcv.IMWRITE_DIFFC_QUALITY, 90, dcv.IMWRITE_DIFFC_QUALITY, 30], {"quality": 30}),
        (
            [dcv.IMWRITE_DIFFC_BACKEND, dcv.IMWRITE_DIFFC_BACKEND_RELAY],
            {"backend": "relay", "quality": 50},
        ),
    ):
        _, by_list = dcv.imencode(".diffc", pixels, params, model=model)
        _, by_keyword = dcv.imencode(".diffc", pixels, model=model, **keywords)
        assert by_list.tobytes() == by_keyword.tobytes()
    params = [dcv.IMWRITE_DIFFC_BACKEND, dcv.IMWRITE_DIFFC_BACKEND_DDCM]
    _, by_list = dcv.imencode(".diffc", pixels, params, model=ddcm_model)
    _, by_keyword = dcv.imencode(".diffc", pixels, model=ddcm_model, backend="ddcm", quality=50)
    assert by_list.tobytes() == by_keyword.tobytes()
    assert diffc.info(by_list.tobytes()).codec == "ddcm"


@pytest.mark.parametrize(
    "params",
    [[1], [1, 50.0], [1, True], [1, "3"], [[1, 3]], 1, {1: 2}, [1, 2**31], np.array([1, 5.0])],
    ids=str,
)
def test_lists_that_opencv_refuses(tmp_path, pixels, params):
    for module, name in ((cv2, "a.jpg"), (dcv, "a.diffc")):
        with pytest.raises(cv2.error):
            module.imwrite(tmp_path / name, pixels, params)
        with pytest.raises(cv2.error):
            module.imencode(name, pixels, params)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ([cv2.IMWRITE_JPEG_QUALITY, 50], "params id 1 is none of DIFFC's"),
        ([dcv.IMWRITE_DIFFC_BACKEND, 99], "IMWRITE_DIFFC_BACKEND is one of 1"),
        ([dcv.IMWRITE_DIFFC_QUALITY, 101], "0 to 100, not 101: 100 is used"),
        ([dcv.IMWRITE_DIFFC_QUALITY, -3], "0 to 100, not -3: 0 is used"),
    ],
)
def test_what_is_ignored_or_clamped_is_warned_of(pixels, model, params, message):
    with pytest.warns(RuntimeWarning, match=message) as caught:
        assert dcv.imencode(".diffc", pixels[:8, :8], params, model=model)[0]
    assert [each.filename for each in caught] == [__file__]


@pytest.mark.parametrize(
    ("params", "options", "message"),
    [
        (None, {"qualty": 3}, "did you mean 'quality'"),
        (None, {"bpp": "much"}, "above 0"),
        (None, {"backend": "nothing"}, "not installed"),
        (None, {"bpp": 1.0, "quality": 3}, "drop all but one"),
        ([dcv.IMWRITE_DIFFC_QUALITY, 3], {"quality": 3}, "as a keyword"),
        ([dcv.IMWRITE_DIFFC_QUALITY, 3], {"bpp": 1.0}, "drop all but one"),
    ],
)
def test_keywords_are_strict(pixels, params, options, message):
    with pytest.raises(cv2.error, match=message):
        dcv.imencode(".diffc", pixels, params, **options)


def test_every_codec_of_the_package_has_a_number():
    built_in = {
        name for name, codec in registry.known_codecs().items() if codec.origin == "built in"
    }
    assert built_in <= set(constants.BACKENDS.values())
    assert (dcv.IMWRITE_DIFFC_BACKEND_DDCM, dcv.IMWRITE_DIFFC_BACKEND_PERCO_SD) == (1, 5)


@pytest.mark.parametrize(
    "dtype",
    ["int8", "uint16", "int16", "int32", "uint32", "int64", "float16", "float32", "float64"],
)
def test_other_depths_are_cut_to_8_bits_as_opencv_cuts_them(dtype, model):
    values = np.array([0, 0.4, 0.5, 0.6, 1.5, 2.5, 254.6, 255, 256, 300, -3.2, -0.5])
    array = np.tile(np.clip(values, -128, 127) if dtype == "int8" else values, (9, 1))
    if dtype.startswith("u"):
        array = np.abs(array)
    array = array.astype(dtype)
    cut = cv2.imdecode(cv2.imencode(".webp", array, [cv2.IMWRITE_WEBP_QUALITY, 101])[1], 0)
    _, expected = dcv.imencode(".diffc", cut, model=model, quality=90)
    with pytest.warns(RuntimeWarning, match=f"8 bits a channel: pixels of {dtype}") as caught:
        _, found = dcv.imencode(".diffc", array, model=model, quality=90)
    assert found.tobytes() == expected.tobytes()
    assert [each.filename for each in caught] == [__file__]


def test_booleans_are_accepted(model):
    array = np.eye(9, dtype=bool)
    _, found = dcv.imencode(".diffc", array, model=model, quality=0)
    _, expected = dcv.imencode(".diffc", array.astype(np.uint8), model=model, quality=0)
    assert found.tobytes() == expected.tobytes()


# --- C5: other formats are OpenCV's ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("extension", "params"),
    [(".png", [16, 9]), (".jpg", [1, 50]), (".webp", None), (".tiff", []), (".bmp", None)],
)
def test_other_formats_are_delegated(tmp_path, pixels, extension, params):
    ours, theirs = tmp_path / f"a{extension}", tmp_path / f"b{extension}"
    assert dcv.imwrite(ours, pixels, params) == cv2.imwrite(theirs, pixels, params or [])
    assert ours.read_bytes() == theirs.read_bytes()
    ok, data = dcv.imencode(extension, pixels, params)
    assert ok
    np.testing.assert_array_equal(data, cv2.imencode(extension, pixels, params or [])[1])
    for flags in (-1, 0, 1, 17, 256):
        np.testing.assert_array_equal(dcv.imread(ours, flags), cv2.imread(ours, flags))
        np.testing.assert_array_equal(dcv.imdecode(data, flags), cv2.imdecode(data, flags))


def test_the_content_decides_what_is_read(tmp_path, pixels, encoded):
    (tmp_path / "png.diffc").write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    (tmp_path / "diffc.png").write_bytes(encoded["RGB"])
    np.testing.assert_array_equal(dcv.imread(tmp_path / "png.diffc"), pixels)
    expected = dcv.imdecode(buffer(encoded["RGB"]), 1)
    np.testing.assert_array_equal(dcv.imread(tmp_path / "diffc.png"), expected)


def test_our_keywords_are_not_options_of_other_formats(tmp_path, pixels):
    with pytest.raises(cv2.error, match="bpp"):
        dcv.imwrite(tmp_path / "a.png", pixels, bpp=1.0)
    with pytest.raises(cv2.error, match="bpp"):
        dcv.imencode(".png", pixels, bpp=1.0)


def test_readers_and_writers(tmp_path, pixels, encoded):
    png, ours, other = tmp_path / "a.png", tmp_path / "a.diffc", tmp_path / "b.diffc"
    assert cv2.imwrite(png, pixels)
    ours.write_bytes(encoded["L"])
    other.write_bytes(encoded["L"].replace(b"relay", b"other"))
    for name in (png, ours, str(ours), os.fsencode(ours)):
        assert dcv.haveImageReader(name) is True
    for name in (other, tmp_path / "missing.png", tmp_path):
        assert dcv.haveImageReader(name) is False
    for name in ("x.diffc", "x.DIFFC", "x.png", Path("x.diffc")):
        assert dcv.haveImageWriter(name) is True
    for name in ("x.foo", "x", "diffc"):
        assert dcv.haveImageWriter(name) is False
