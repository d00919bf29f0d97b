"""``diffc autoload``: the format in processes that do not import the package."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest
from PIL import Image

import diffc
from diffc.autoload.switch import startup_file, state, switch_off, switch_on
from diffc.cli.main import main

SHOW = (
    "import sys; from PIL import Image\nwith Image.open(sys.argv[1]) as image: print(image.format)"
)


class Environment:
    """A virtual environment that finds the packages of this one."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, with_pip=False, symlinks=sys.platform != "win32")
        places = ("Scripts", "Lib") if sys.platform == "win32" else ("bin", "lib/python*")
        self.python = folder / places[0] / "python"
        (self.packages,) = folder.glob(f"{places[1]}/site-packages")

    def see(self, *left_out: Path) -> None:
        """Find the packages of this environment, but for those in some folders."""
        found = [each for each in sys.path if Path(each).is_dir() and Path(each) not in left_out]
        (self.packages / "others.pth").write_text("\n".join(found))

    def run(self, script: str, *arguments: object) -> str:
        """Run a script, whose warnings are errors; return what it says on both streams."""
        command = [self.python, "-W", "error", "-c", script, *arguments]
        done = subprocess.run([*map(str, command)], check=True, capture_output=True, text=True)
        return done.stdout + done.stderr

    def diffc(self, *arguments: str) -> str:
        """Run the command line."""
        return self.run(
            "import sys; from diffc.cli.main import main; main(sys.argv[1:])", *arguments
        )


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment of its own."""
    made = Environment(tmp_path_factory.mktemp("environment"))
    made.see()
    return made


@pytest.fixture
def coded(tmp_path: Path, photo: Image.Image) -> Path:
    """A DIFFC file."""
    path = tmp_path / "a.diffc"
    diffc.save(photo, path, quality=10)
    return path


def test_on_and_off(environment: Environment, coded: Path) -> None:
    path = environment.packages / "diffc-autoload.pth"
    assert environment.diffc("autoload", "status") == f"off: no {path}\n"
    with pytest.raises(subprocess.CalledProcessError) as caught:
        environment.run(SHOW, coded)
    assert "UnidentifiedImageError" in caught.value.stderr
    for action in ("on", "on", "status"):
        assert environment.diffc("autoload", action) == f"on: {path}\n"
    assert environment.run(SHOW, coded) == "DIFFC\n"
    for _ in range(2):
        assert environment.diffc("autoload", "off") == f"off: no {path}\n"
    assert not path.exists()


def test_workers_that_start_afresh_know_the_format(
    environment: Environment, coded: Path, tmp_path: Path
) -> None:
    script = tmp_path / "somebody.py"
    script.write_text(
        "import multiprocessing, sys\n"
        "def size(path):\n"
        "    from PIL import Image\n"
        "    with Image.open(path) as image:\n"
        "        return image.format, image.size\n"
        "if __name__ == '__main__':\n"
        "    with multiprocessing.get_context('spawn').Pool(1) as pool:\n"
        "        print(pool.map(size, sys.argv[1:]))\n"
    )
    switch_on(environment.packages)
    done = subprocess.run(
        [str(environment.python), str(script), str(coded)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stdout == "[('DIFFC', (96, 64))]\n"


def test_an_interpreter_starts_with_the_modules_that_it_starts_with(
    environment: Environment,
) -> None:
    script = "import sys; print(sorted(sys.modules))"
    switch_off(environment.packages)
    before = environment.run(script)
    switch_on(environment.packages)
    assert environment.run(script) == before
    assert "diffc" not in before


def test_pillow_is_loaded_as_if_nobody_watched(environment: Environment) -> None:
    switch_on(environment.packages)
    script = (
        "import importlib, inspect\n"
        "from PIL import Image\n"
        "assert type(Image.__loader__).__name__ == 'SourceFileLoader'\n"
        "assert Image.__spec__.loader is Image.__loader__\n"
        "assert 'def open' in inspect.getsource(Image)\n"
        "assert 'DIFFC' in Image.ID\n"
        "assert 'DIFFC' in importlib.reload(Image).ID\n"
        "import diffc, sys\n"
        "assert not {'numpy', 'torch'} & set(sys.modules)"
    )
    assert environment.run(script) == ""
    assert environment.run("import diffc; from PIL import Image; print(Image.ID)") == "['DIFFC']\n"


def test_without_the_package_nothing_happens(environment: Environment) -> None:
    if Path(diffc.__file__).parents[1] == Path(Image.__file__).parents[1]:
        pytest.skip("diffc is installed beside Pillow here, and cannot be left out alone")
    switch_on(environment.packages)
    environment.see(Path(diffc.__file__).parents[1])
    try:
        assert environment.run("print('started')") == "started\n"
        script = (
            "from PIL import Image; print(Image.ID)\ntry: import diffc\nexcept ImportError: pass"
        )
        assert environment.run(script) == "[]\n"
    finally:
        environment.see()


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(
        OSError, match=r"the start-up file is written into .*gone, and that cannot be"
    ):
        switch_on(tmp_path / "gone")
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path / "gone"))
    assert main(["autoload", "on"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("diffc: the start-up file is written into ")
    assert line.endswith("or diffc.register in each process")
    assert main(["autoload", "off"]) == 0


def test_a_file_of_another_version_is_noticed(tmp_path: Path) -> None:
    assert state(tmp_path) == "off"
    assert switch_on(tmp_path) == startup_file(tmp_path)
    assert state(tmp_path) == "on"
    startup_file(tmp_path).write_text("import sys\n")
    assert state(tmp_path) == "outdated"
    switch_on(tmp_path)
    assert state(tmp_path) == "on"
    assert switch_off(tmp_path)
    assert not switch_off(tmp_path)
