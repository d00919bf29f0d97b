"""The command line: what it reads and writes, says and refuses, and its exit codes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
from PIL import Image, ImageCms

import diffc
from diffc import api
from diffc.cli import items, progress
from diffc.cli import main as cli
from diffc.cli.main import main
from diffc.key_value import key_and_value

CLI = [sys.executable, "-c", "import sys; from diffc.cli.main import main; sys.exit(main())"]


@pytest.fixture
def picture(tmp_path, photo):
    """A small picture as a file."""
    path = tmp_path / "photo.png"
    photo.resize((24, 16)).save(path)
    return path


@pytest.fixture
def coded(tmp_path, photo, model):
    """A DIFFC file."""
    path = tmp_path / "coded.diffc"
    path.write_bytes(diffc.encode(photo.resize((24, 16)), quality=10, model=model))
    return path


@pytest.fixture
def run(capsysbinary, monkeypatch):
    """Call the command with arguments and standard input; return code, stdout and stderr."""

    def call(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = main([str(each) for each in arguments])
        out, err = capsysbinary.readouterr()
        return code, out, err.decode()

    return call


def test_encode_writes_what_the_api_makes_and_says_so(run, picture, model):
    code, out, err = run("encode", picture, "--bpp", "3", "--model", model)
    made = picture.with_suffix(".diffc")
    with Image.open(picture) as image:
        assert made.read_bytes() == diffc.encode(image, bpp=3, model=model)
    bytes_ = made.stat().st_size
    assert (code, err) == (0, "")
    (line,) = out.decode().splitlines()
    assert line.startswith(f"{made}: {bytes_} bytes, {8 * bytes_ / (24 * 16):.4g} bpp, ")
    assert line.endswith(" s")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--target-size", "90"], {"target_size": 90}),
        (["--quality", "20", "--backend", "relay"], {"quality": 20, "backend": "relay"}),
        (["--option", "scale=3", "--option", "seed=7"], {"scale": 3, "seed": 7}),
        (["--option", "scale=null", "--device", "cpu"], {"device": "cpu"}),
    ],
)
def test_options_reach_the_encoder(run, picture, model, arguments, options):
    assert run("encode", picture, "--model", model, *arguments)[0] == 0
    with Image.open(picture) as image:
        expected = diffc.encode(image, model=model, **options)
    assert picture.with_suffix(".diffc").read_bytes() == expected


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--quality", "20"], {"quality": 20}),
        (["--steps", "12", "--option", "seed=7"], {"steps": 12, "seed": 7}),
        (["--option", "atoms=null", "--device", "cpu"], {"device": "cpu"}),
    ],
)
def test_options_reach_the_encoder_of_another_codec(run, picture, ddcm_model, arguments, options):
    backend = ["--backend", "ddcm", "--model", ddcm_model]
    assert run("encode", picture, *backend, *arguments)[0] == 0
    with Image.open(picture) as image:
        expected = diffc.encode(image, backend="ddcm", model=ddcm_model, **options)
    assert picture.with_suffix(".diffc").read_bytes() == expected


@pytest.mark.parametrize(
    ("text", "value"),
    [("a=1", 1), ("a=0.5", 0.5), ("a=true", True), ("a=red door", "red door"), ("a=x=y", "x=y")],
)
def test_values_of_options(text, value):
    assert key_and_value(text) == ("a", value)


def test_decode_makes_a_png_or_what_the_extension_says(run, coded, tmp_path):
    code, out, err = run("decode", coded)
    assert (code, err) == (0, "")
    assert out.decode().startswith(f"{tmp_path / 'coded.png'}: 24x16 RGB, ")
    with Image.open(tmp_path / "coded.png") as image, Image.open(coded) as expected:
        assert image.format == "PNG"
        assert image.tobytes() == expected.tobytes()
    for extension, format_ in ((".jpg", "JPEG"), (".WEBP", "WEBP"), (".tif", "TIFF")):
        assert run("decode", coded, "-o", tmp_path / f"a{extension}", "--realism", "0")[0] == 0
        with Image.open(tmp_path / f"a{extension}") as image:
            assert (image.format, image.size) == (format_, (24, 16))


def test_decode_takes_the_model_and_the_realism(run, coded, tmp_path, model, monkeypatch):
    monkeypatch.delenv("DIFFC_MODELS")
    code, _, err = run("decode", coded)
    assert code == 1
    assert "fingerprint" in err
    out = tmp_path / "a.png"
    assert run("decode", coded, "-o", out, "--model", model, "--realism", "0")[0] == 0
    with Image.open(out) as image:
        assert image.tobytes() == diffc.decode(coded, model=model, realism=0).tobytes()
        assert image.tobytes() != diffc.decode(coded, model=model).tobytes()


# --- pipes ----------------------------------------------------------------------------------------


def test_standard_input_goes_to_standard_output_and_nothing_else_does(run, picture, model):
    code, data, err = run("encode", "-", "--model", model, stdin=picture.read_bytes())
    assert code == 0
    assert err.startswith(f"-: {len(data)} bytes, ")
    code, png, err = run("decode", "-", stdin=data)
    assert code == 0
    assert err.startswith("-: 24x16 RGB")
    with Image.open(io.BytesIO(png)) as image:
        assert image.format == "PNG"
        assert image.tobytes() == diffc.decode(data).tobytes()
    code, text, err = run("info", "-", stdin=data)
    assert (code, err) == (0, "")
    assert f"file     {len(data)} bytes".encode() in text


def test_output_to_standard_output_and_input_from_it(run, picture, tmp_path, model):
    code, data, _ = run("encode", picture, "-o", "-", "--model", model)
    assert code == 0
    assert diffc.info(data).size == (24, 16)
    made = tmp_path / "made.diffc"
    stdin = picture.read_bytes()
    assert run("encode", "-", "-o", made, "--model", model, stdin=stdin)[0] == 0
    assert made.read_bytes() == data


def test_a_pipeline_of_processes(picture, model):
    with subprocess.Popen(
        [*CLI, "encode", str(picture), "-o", "-", "--model", model, "--quality", "5"],
        stdout=subprocess.PIPE,
    ) as first:
        done = subprocess.run(
            [*CLI, "info", "-", "--json"], stdin=first.stdout, capture_output=True, check=True
        )
        assert first.stdout is not None
        first.stdout.close()
        assert first.wait() == 0
    assert json.loads(done.stdout)["size"] == [24, 16]


def test_a_reader_that_goes_is_no_traceback(coded):
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*CLI, "info", str(coded)], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


def test_empty_standard_input(run):
    code, out, err = run("encode", "-")
    assert (code, out) == (1, b"")
    assert err == "diffc: -: standard input is empty: pipe a file into it\n"


def test_no_binary_to_a_terminal(run, picture, monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code, out, err = run("encode", picture, "-o", "-")
    assert (code, out) == (1, b"")
    assert "terminal" in err


def test_pipes_and_devices_are_written_not_replaced(tmp_path):
    read, write = os.pipe()
    items.write(f"/proc/self/fd/{write}", b"data")
    os.close(write)
    with open(read, "rb") as file:
        assert file.read() == b"data"
    link, target = tmp_path / "link", tmp_path / "target"
    link.symlink_to(target)
    items.write(str(link), b"data")
    assert link.is_symlink()
    assert target.read_bytes() == b"data"


# --- what is read ---------------------------------------------------------------------------------


@pytest.fixture
def marked():
    """Red at the left, blue at the right, 24x16."""
    image = Image.new("RGB", (24, 16), (220, 20, 20))
    image.paste((20, 20, 220), (12, 0, 24, 16))
    return image


def is_upright(image):
    """Whether red is on top and blue below, as orientation 6 turns the marked picture."""
    (red, _, blue), (low_red, _, low_blue) = (
        image.convert("RGB").getpixel(place) for place in ((8, 2), (8, 21))
    )
    return image.size == (16, 24) and red > blue and low_blue > low_red


@pytest.mark.parametrize("extension", [".jpg", ".png", ".webp", ".tif"])
def test_pictures_come_out_upright(run, marked, tmp_path, model, extension):
    exif = Image.Exif()
    exif[0x112] = 6
    path = tmp_path / f"phone{extension}"
    marked.save(path, exif=exif)
    assert run("encode", path, "--model", model, "--quality", "80")[0] == 0
    made = path.with_suffix(".diffc")
    assert diffc.info(made).metadata_bytes == {}
    with Image.open(made) as image:
        assert is_upright(image)


def test_heic(run, marked, tmp_path, model):
    pillow_heif = pytest.importorskip("pillow_heif")
    exif = Image.Exif()
    exif[0x112] = 6
    path = tmp_path / "phone.heic"
    pillow_heif.from_pillow(marked).save(path, exif=exif.tobytes(), quality=90)
    code, _, err = run("encode", path, "--model", model, "--quality", "80")
    assert (code, err) == (0, "")
    with Image.open(tmp_path / "phone.diffc") as image:
        assert is_upright(image)
    assert run("decode", tmp_path / "phone.diffc", "-o", tmp_path / "back.heic")[0] == 0
    assert pillow_heif.is_supported(tmp_path / "back.heic")


def test_heic_without_pillow_heif_names_the_extra(run, tmp_path, coded, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setattr(Image, "ID", [each for each in Image.ID if each != "HEIF"])
    path = tmp_path / "phone.heic"
    path.write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0heicmif1" + bytes(64))
    for arguments in (["encode", path], ["decode", coded, "-o", tmp_path / "a.heic"]):
        code, _, err = run(*arguments)
        assert code == 1
        assert "pip install 'diffc[heif]'" in err
        assert err.count("\n") == 1


def test_colours_are_converted_or_kept_with_their_profile(run, picture, tmp_path, model):
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # a space whose red is blue
    profile = profile.replace(b"rXYZ", b"----").replace(b"bXYZ", b"rXYZ").replace(b"----", b"bXYZ")
    with Image.open(picture) as image:
        image.save(tmp_path / "p.png", icc_profile=profile)
        kept = diffc.encode(image, icc_profile=profile, model=model)
        untouched = diffc.encode(image, model=model)
    out = tmp_path / "p.diffc"
    assert run("encode", tmp_path / "p.png", "--icc", "keep", "--model", model)[0] == 0
    assert out.read_bytes() == kept
    assert run("encode", tmp_path / "p.png", "-f", "--model", model)[0] == 0
    assert "icc" not in diffc.info(out).metadata_bytes
    assert out.read_bytes() != untouched


def test_the_profile_of_other_colours_cannot_be_kept(run, tmp_path):
    path = tmp_path / "ink.tif"
    Image.new("CMYK", (8, 8)).save(path, icc_profile=b"profile of an ink")
    code, _, err = run("encode", path, "--icc", "keep")
    assert code == 1
    assert "CMYK" in err


def test_metadata_is_kept_on_request_only(run, photo, tmp_path, model):
    exif = Image.Exif()
    exif[0x10F] = "Maker"
    exif[0x112] = 6
    path, out = tmp_path / "a.jpg", tmp_path / "a.diffc"
    photo.resize((24, 16)).save(path, exif=exif, xmp=b"<x/>")
    assert run("encode", path, "--model", model)[0] == 0
    assert diffc.info(out).metadata_bytes == {}
    assert run("encode", path, "-f", "--keep-metadata", "--model", model)[0] == 0
    with Image.open(out) as image:
        assert image.info["xmp"] == b"<x/>"
        assert dict(image.getexif()) == {0x10F: "Maker"}
    assert run("decode", out)[0] == 0
    with Image.open(tmp_path / "a.png") as image:
        assert dict(image.getexif()) == {0x10F: "Maker"}


@pytest.mark.parametrize("filtered", ["ignore", "error", "once"])
def test_damaged_exif_is_dropped_and_told_whatever_warnings_are_filtered(
    run, picture, tmp_path, model, filtered
):
    path, out = tmp_path / "a.png", tmp_path / "a.diffc"
    with Image.open(picture) as image:
        image.save(path, exif=b"Exif\0\0this is none")
    with warnings.catch_warnings():
        warnings.simplefilter(filtered)
        code, _, err = run("encode", path, "--keep-metadata", "--model", model)
    assert code == 0
    assert err.startswith("diffc: warning: the image's EXIF is damaged and ignored")
    assert err.count("\n") == 1
    assert diffc.info(out).metadata_bytes == {}


def test_alpha(run, tmp_path, model):
    path, out = tmp_path / "a.png", tmp_path / "a.diffc"
    Image.new("RGBA", (8, 8), (1, 2, 3, 128)).save(path)
    assert run("encode", path, "--model", model)[0] == 0
    assert diffc.info(out).mode == "RGBA"
    assert run("encode", path, "--model", model, "--alpha", "drop", "--force")[0] == 0
    assert diffc.info(out).mode == "RGB"


def test_orientation_in_a_diffc_file_is_applied(run, marked, tmp_path, model):
    exif = Image.Exif()
    exif[0x112] = 6
    path = tmp_path / "a.diffc"
    diffc.save(marked, path, exif=exif, model=model, quality=80)
    assert run("decode", path, "-o", tmp_path / "a.bmp")[0] == 0
    with Image.open(tmp_path / "a.bmp") as image:
        assert is_upright(image)


# --- refusals and exit codes ----------------------------------------------------------------------


def test_existing_files_are_refused_without_force(run, picture, coded, model):
    made = picture.with_suffix(".diffc")
    made.write_bytes(b"old")
    code, out, err = run("encode", picture, "--model", model)
    assert (code, out) == (1, b"")
    assert err == f"diffc: {picture}: {made} exists: pass --force to overwrite it\n"
    assert made.read_bytes() == b"old"
    assert run("encode", picture, "--model", model, "--force")[0] == 0
    assert diffc.info(made).size == (24, 16)
    assert run("decode", coded)[0] == 0
    assert run("decode", coded)[0] == 1
    assert run("decode", coded, "-f")[0] == 0


def test_a_file_is_never_its_own_output(run, coded):
    before = coded.read_bytes()
    code, _, err = run("encode", coded, "--force")
    assert code == 1
    assert "same file" in err
    assert coded.read_bytes() == before


def test_failure_leaves_what_was_there(run, picture, tmp_path, model, monkeypatch):
    made = picture.with_suffix(".diffc")
    made.write_bytes(b"old")
    names = sorted(tmp_path.iterdir())
    assert run("encode", picture, "-f", "--target-size", "5", "--model", model)[0] == 1

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(api.os, "fsync", full)
    code, _, err = run("encode", picture, "-f", "--model", model)
    assert code == 1
    assert err == f"diffc: {picture}: No space left on device\n"
    assert made.read_bytes() == b"old"
    assert sorted(tmp_path.iterdir()) == names


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["encode", "missing.png"], "No such file or directory"),
        (["encode", "."], "Is a directory"),
        (["encode", "text"], "no image of a format that Pillow reads"),
        (["encode", "short.png"], "truncated"),
        (["encode", "photo.png", "--quality", "101"], "quality is a number from 0 to 100"),
        (["encode", "photo.png", "--bpp", "0"], "above 0"),
        (["encode", "photo.png", "--backend", "none"], "not installed"),
        (["encode", "photo.png", "--option", "quailty=3"], "did you mean 'quality'"),
        (["encode", "photo.png", "--model", "nowhere"], "config.json"),
        (["encode", "photo.png", "-o", "nowhere/a.diffc"], "not a folder to write in"),
        (["encode", "deep.tif"], "values go from -3 to -3"),
        (["decode", "photo.png"], "DIFFC"),
        (["decode", "coded.diffc", "-o", "a.xyz"], "does not end as a format"),
        (["decode", "coded.diffc", "-o", "a.diffc"], "does not end as a format"),
        (["decode", "coded.diffc", "--steps", "1001"], "steps is 0 to 1000"),
        (["decode", "coded.diffc", "--device", "abacus"], "device"),
        (["decode", "torn.diffc"], ""),
        (["info", "missing.diffc"], "No such file or directory"),
        (["info", "photo.png"], "DIFFC"),
        (["info", "research.diffc"], "DiffC research code"),
        (["encode", "research.diffc", "-o", "a"], "DiffC research code"),
        (["decode", "research.diffc"], "DiffC research code"),
        (["info", "new.diffc"], "newer container version"),
        (["encode", "new.diffc", "-o", "a"], "newer container version"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_errors_are_one_line(run, picture, coded, monkeypatch, arguments, reason):
    folder = picture.parent
    monkeypatch.chdir(folder)
    Path("text").write_text("no image")
    Path("short.png").write_bytes(picture.read_bytes()[:200])
    Path("torn.diffc").write_bytes(coded.read_bytes()[:-1])
    research = (8).to_bytes(4, "little") + b"\x10\0\x10\0\5\0" + b"\x78\x9c\x03\0\0\0\0\1"
    Path("research.diffc").write_bytes(research)
    Path("new.diffc").write_bytes(b"\xd1\xfc\r\n\x0f" + bytes(40))
    Image.new("F", (8, 8), -3).save("deep.tif")
    before = sorted(folder.iterdir())
    code, out, err = run(*arguments)
    assert (code, out) == (1, b"")
    assert err.startswith(f"diffc: {arguments[1]}: ")
    assert reason in err
    assert err.count("\n") == 1
    assert "Traceback" not in err
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["encode"],
        ["encode", "a.png", "--bpp", "1", "--quality", "3"],
        ["encode", "a.png", "--bpp", "much"],
        ["encode", "a.png", "--qual", "3"],
        ["encode", "a.png", "--option", "seed"],
        ["encode", "a.png", "--bpp", "1", "--option", "bpp=2"],
        ["encode", "a.png", "b.png", "-o", "c.diffc"],
        ["encode", "a.png", "b.png", "-o", "-"],
        ["encode", "-", "-"],
        ["decode", "a.diffc", "--bpp", "1"],
        ["info"],
    ],
    ids=" ".join,
)
def test_wrong_usage(run, arguments):
    code, out, err = run(*arguments)
    assert (code, out) == (2, b"")
    assert err.startswith("usage: diffc")


def test_some_of_several_fail(run, picture, coded, tmp_path, model):
    (tmp_path / "text").write_text("no image")
    folder = tmp_path / "out"
    folder.mkdir()
    code, out, err = run("encode", "missing.png", picture, tmp_path / "text", "-o", folder)
    assert code == 3
    assert out.count(b"\n") == 1
    assert [line.split(": ")[1] for line in err.splitlines()] == [
        "missing.png",
        str(tmp_path / "text"),
    ]
    assert list(folder.iterdir()) == [folder / "photo.diffc"]
    assert run("info", coded, "missing.diffc")[0] == 3
    assert run("decode", coded, "missing.diffc")[0] == 3
    assert run("info", coded, coded)[0] == 0


def test_two_inputs_never_share_an_output(run, picture, tmp_path, model):
    other = tmp_path / "photo.bmp"
    with Image.open(picture) as image:
        image.save(other)
    code, _, err = run("encode", picture, other, "--force", "--model", model)
    assert code == 3
    assert err.startswith(f"diffc: {other}: ")
    assert "another input's output" in err


def test_an_interrupt_is_130_and_leaves_nothing(run, picture, tmp_path, ddcm_model, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    before = sorted(tmp_path.iterdir())
    monkeypatch.setattr(api.os, "replace", interrupt)
    code, _, err = run("encode", picture, "--backend", "ddcm", "--model", ddcm_model)
    assert code == 130
    assert "Traceback" not in err
    assert sorted(tmp_path.iterdir()) == before


# --- progress -------------------------------------------------------------------------------------


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_bars_on_a_terminal_only(picture, tmp_path, ddcm_model, monkeypatch, capsys):
    pytest.importorskip("tqdm")
    other = tmp_path / "other.png"
    other.write_bytes(picture.read_bytes())
    command = ["encode", str(picture), str(other), "--backend", "ddcm", "--model", ddcm_model]
    assert main(command) == 0
    assert capsys.readouterr().err == ""
    terminal = Terminal()
    bar = progress._bar
    monkeypatch.setattr(progress, "_bar", lambda **options: bar(mininterval=0, **options))
    monkeypatch.setattr(sys, "stderr", terminal)
    assert main([*command, "-f"]) == 0
    shown = terminal.getvalue()
    assert "photo.png: " in shown
    assert "/30" in shown  # the steps of a file
    assert "/2 " in shown  # the files
    assert len(capsys.readouterr().out.splitlines()) == 2


# --- info, codecs, version ------------------------------------------------------------------------


def test_info(run, photo, tmp_path, model):
    path = tmp_path / "a.diffc"
    image = photo.resize((24, 16)).convert("LA")
    diffc.save(image, path, quality=10, model=model, xmp=b"<x/>")
    found = diffc.info(path)
    code, out, err = run("info", path)
    assert (code, err) == (0, "")
    assert out.decode().splitlines() == [
        str(path),
        "  size     24x16",
        "  mode     LA",
        "  codec    relay, version 1",
        f"  model    {found.model}",
        f"  payload  {found.payload_bytes} bytes",
        f"  file     {path.stat().st_size} bytes, {found.bpp:.4g} bpp",
        "  xmp      4 bytes",
        f"  alpha    {found.metadata_bytes['alpha']} bytes",
    ]


def test_info_as_json(run, coded):
    code, out, _ = run("info", coded, coded, "--json")
    assert code == 0
    first, second = (json.loads(line) for line in out.splitlines())
    assert first == second
    assert first["file"] == str(coded)
    assert first["file_bytes"] == coded.stat().st_size
    assert first["size"] == [24, 16]
    assert first["model"] == diffc.info(coded).model


def test_codecs(run):
    code, out, _ = run("codecs")
    assert code == 0
    codecs = json.loads(run("codecs", "--json")[1])
    for name in ("ddcm", "relay"):
        assert f"{name}: ".encode() in out
        assert codecs[name]["installed"] is True
        assert codecs[name]["weights_licence"] == "MIT"


_LIGHT = """
import sys
for name in ("torch", "numpy", "tqdm", "pillow_heif", "cv2"):
    sys.modules[name] = None
from diffc.cli.main import main
from diffc.key_value import key_and_value
code = main(sys.argv[1:])
if sys.argv[1] != "codecs":
    assert "importlib.metadata" not in sys.modules
sys.exit(code)
"""


@pytest.mark.parametrize("command", ["info", "--version", "codecs", "--help"])
def test_light_commands_need_no_numpy_and_no_torch(coded, command):
    arguments = [command, str(coded)] if command == "info" else [command]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _LIGHT, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout
    if command == "--version":
        assert done.stdout == f"diffc {diffc.__version__}\n"


def test_help_and_version_in_process(run):
    assert run("--version") == (0, f"diffc {cli.diffc.__version__}\n".encode(), "")
    code, out, _ = run("encode", "--help")
    assert code == 0
    assert b"--target-size" in out
