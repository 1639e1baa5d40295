"""Bundles that ship with the package, by name: found where they are installed, told from files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from fixtures_bundle import Here

from a3d_edge import Bundle, BundleError, bundles, stream
from a3d_edge.bundles import DEFAULT, as_path, built_in, folder_of, is_bundle, names
from a3d_edge.cli.common import BUILT_IN, BUNDLE_HELP


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bundle_folder: Path) -> Path:
    """An installation with the default bundle and another; the working directory is an empty one."""
    installed, here = tmp_path / "installed", tmp_path / "here"
    for name in (DEFAULT, "waving"):
        shutil.copytree(bundle_folder, installed / name)
    (installed / "__pycache__").mkdir()
    here.mkdir()
    monkeypatch.setattr(bundles, "__file__", str(installed / "__init__.py"))
    monkeypatch.chdir(here)
    return installed


def test_whatever_is_installed_has_a_name(two: Path) -> None:
    """A folder with a manifest, and no other; nothing else needs to know of it."""
    assert built_in() == {DEFAULT: two / DEFAULT, "waving": two / "waving"}
    assert names() == f"{DEFAULT}, waving"
    assert Bundle.named("waving").path == two / "waving"
    assert Bundle.default().path == Bundle.named("default").path == Bundle.named(DEFAULT).path


def test_what_ships_includes_the_default() -> None:
    """In the installation of these tests."""
    assert DEFAULT in built_in()
    assert Bundle.default().path == folder_of(DEFAULT) == Path(bundles.__file__).parent / DEFAULT


@pytest.mark.parametrize("name", ["nothing", "", "../waving", "__pycache__"])
def test_an_unknown_name_is_refused_with_those_that_exist(two: Path, name: str) -> None:
    """Whether it could be a path or not: a name is a name."""
    with pytest.raises(BundleError) as caught:
        Bundle.named(name)
    assert str(caught.value) == f"'{name}' is no built-in bundle; there are {DEFAULT}, waving"


def test_a_word_is_a_name_unless_a_bundle_or_file_here_is_called_so(two: Path, bundle_folder: Path) -> None:
    """A folder without a manifest (of clips, say) hides nothing; `Path` and ``./`` are always paths."""
    assert as_path("waving") == two / "waving"
    assert as_path("default") == two / DEFAULT
    Path("waving").mkdir()
    assert as_path("waving") == two / "waving"
    assert as_path("./waving") == as_path(Path("waving")) == Path("waving")
    shutil.copytree(bundle_folder, "waving", dirs_exist_ok=True)
    assert as_path("waving") == Path("waving")
    Path("default").write_bytes(b"a checkpoint, as it was before bundles had names")
    assert as_path("default") == Path("default")
    assert as_path("walking") == Path("walking")


def test_a_bundle_is_told_from_a_checkpoint(two: Path) -> None:
    """Folders and words that are no file are bundles; a name like a file's is that of a checkpoint."""
    Path("folder.pth").mkdir()
    Path("file").touch()
    assert [is_bundle(Path(name)) for name in ("folder.pth", "word", "file", "missing.pth")] == [
        True, True, False, False,
    ]  # fmt: skip


def test_python_takes_names(two: Path, clip: Path) -> None:
    """Where a folder is taken."""
    assert Bundle.find("waving").path == two / "waving"
    assert next(stream(clip, "waving")).label in Bundle.named("waving").classes
    with pytest.raises(
        BundleError, match=f"^wave: no such bundle directory; .* built in are {DEFAULT}, waving$"
    ):
        next(stream(clip, "wave"))


@pytest.mark.parametrize("command", [("info",), ("verify",), ("run", "--source", "{clip}", "--bundle")])
def test_commands_take_names(two: Path, here: Here, clip: Path, command: tuple[str, ...]) -> None:
    """As they take folders; what is neither is refused in one line that lists the names."""
    words = [word.format(clip=clip) for word in command]
    code, out, err = here(*words, "waving", "--json")
    assert code == 0, err
    assert command[0] == "run" or json.loads(out)["path"] == str(two / "waving")
    code, out, err = here(*words, "wave")
    assert (code, out) == (4, "")
    assert err == (
        "error: wave: no such bundle directory; 'a3d-edge export' writes one, "
        f"built in are {DEFAULT}, waving\n"
    )


def test_bench_takes_a_name(two: Path, here: Here) -> None:
    """Its subject is the bundle of that name."""
    one = str(Bundle.named("waving").configurations[0])
    options = ("--configuration", one, "--windows", 1, "--seconds", 0.1, "--no-paced", "--json")
    code, out, err = here("bench", "waving", *options)
    assert code == 0, err
    assert str(two / "waving") in out


def test_tables_are_those_of_a_name(two: Path, here: Here) -> None:
    """``table show``; what is neither table nor bundle is refused with the names of both."""
    code, out, err = here("table", "show", "waving", "--json")
    assert code == 0, err
    assert len(out.splitlines()) == len(Bundle.named("waving").table.rows)
    code, _, err = here("table", "show", "wave")
    assert code == 2
    assert err.endswith(f"; built-in bundles are {DEFAULT}, waving\n")


def test_a_plot_is_of_a_name(here: Here, tmp_path: Path) -> None:
    """``table plot`` of what ships, whose rows have accuracies."""
    pytest.importorskip("matplotlib")
    code, out, err = here("table", "plot", DEFAULT, "--out", tmp_path / "curve.svg")
    assert (code, err) == (0, "")
    assert out.endswith(f" configurations of {DEFAULT}\n")


@pytest.mark.torch
def test_training_and_measuring_take_names(two: Path, here: Here, clip: Path) -> None:
    """``train --init`` begins with it; ``eval`` measures its graphs; both refuse what is neither."""
    pytest.importorskip("torch")
    from a3d_edge.training.begin import initial

    assert initial("waving").classes == Bundle.named("waving").classes
    label = Bundle.named("waving").classes[0]
    Path("clips.csv").write_text(f"path,label\n{clip},{label}\n")
    code, out, err = here("eval", "waving", "--data", "clips.csv", "--json")
    assert code == 0, err
    assert len(out.splitlines()) == len(Bundle.named("waving").configurations)
    code, _, err = here("eval", "wave", "--data", "clips.csv")
    assert code == 4
    assert f"built in are {DEFAULT}, waving" in err
    code, _, err = here("train", "--data", "clips.csv", "--out", "new.pth", "--init", "wave")
    assert code == 4
    assert f"or a built-in bundle ({DEFAULT}, waving)" in err


@pytest.mark.torch
def test_what_ships_can_be_begun_with() -> None:
    """Its cheapest row is of int8, which PyTorch does not compute: one of fp32 proves the network."""
    pytest.importorskip("torch")
    from a3d_edge.training.begin import initial

    shipped = Bundle.default()
    assert shipped.configurations[0].precision == "int8"
    begun = initial(DEFAULT)
    assert (begun.classes, begun.description.sampling) == (shipped.classes, shipped.sampling)


def test_help_lists_the_names(here: Here) -> None:
    """Those that are installed, and which one runs unasked."""
    assert f"({names()})" in BUILT_IN
    for command in ("run", "info", "verify", "bench", "eval", "explain", "train", "fit"):
        _, out, _ = here(command, "--help")
        assert BUILT_IN in " ".join(out.split()), command
    assert BUNDLE_HELP.endswith(f"{DEFAULT} if not given.")
    assert BUNDLE_HELP in " ".join(here("run", "--help")[1].split())
