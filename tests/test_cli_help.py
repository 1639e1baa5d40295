"""``--help`` of every command, completion of the shell, and how much a command says."""

from __future__ import annotations

import logging
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from fixtures_bundle import Here, shared_bundle, write_video

from a3d_edge import __version__
from a3d_edge.cli import app
from a3d_edge.cli.help import EXAMPLES, GROUPS


def commands(group: Any = None, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every command, those of groups too, by its words."""
    for name, command in (group or typer.main.get_command(app)).commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


PROGRAM = Path(sys.executable).parent / "a3d-edge"


def output_of(*words: str, env: dict[str, str] | None = None) -> str:
    """stdout of the installed script."""
    done = subprocess.run([PROGRAM, *words], env=env, capture_output=True, text=True, timeout=60, check=False)
    return done.stdout


NAMES = [name for name, _ in commands()]


@pytest.mark.parametrize("name", NAMES)
def test_help_is_grouped_and_ends_with_an_example(here: Here, name: str) -> None:
    """``-h`` is ``--help``; only ``--help`` itself is in no group; what has a default shows it."""
    code, out, err = here(*name.split(), "-h")
    assert (code, err) == (0, "")
    assert here(*name.split(), "--help") == (0, out, "")
    assert "\nOptions:\n  -h, --help  Show this message and exit.\n\nExample:\n" in out
    assert " ".join(out.partition("Example:")[2].split()) == EXAMPLES[name]
    shown = [line[:-1] for line in out.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert [one for one in GROUPS if one in shown] == [one for one in shown if one in GROUPS]
    command = dict(commands())[name]
    for option in command.params:
        told = option.default is None or option.default in (False, True, ()) or option.required
        assert told or f"default: {option.default}" in " ".join(out.split()), option.name


@pytest.mark.parametrize("name", NAMES)
def test_examples_can_be_meant(name: str) -> None:
    """Their words are taken by the command's own parser, with nothing left over."""
    program, *words = shlex.split(EXAMPLES[name])
    assert program == "a3d-edge"
    assert words[: len(name.split())] == name.split()
    context = dict(commands())[name].make_context(name, words[len(name.split()) :])
    assert context.args == []


def test_every_example_is_of_a_command() -> None:
    """And every command has one; an option is in one group at most."""
    assert sorted(EXAMPLES) == sorted(NAMES)
    flags = [flag for flags in GROUPS.values() for flag in flags.split()]
    assert len(flags) == len(set(flags))
    known = {flag for _, command in commands() for option in command.params for flag in option.opts}
    assert set(flags) <= known


def test_the_version_has_a_short_option(here: Here) -> None:
    """``-V`` as ``--version``."""
    assert here("-V") == here("--version") == (0, f"{__version__}\n", "")


def test_quiet_leaves_stderr_to_errors(here: Here, tmp_path: Path, tmp_path_factory: Any) -> None:
    """stdout is as it was, and stderr empty; but what is wrong is said, with its exit code."""
    bundle, clip = shared_bundle(tmp_path_factory), write_video(tmp_path / "clip.mp4", 20)
    command = ("run", "--source", clip, "--bundle", bundle, "--max-predictions", 2)
    code, out, err = here(*command)
    assert (code, len(out.splitlines()), "2 predictions" in err) == (0, 2, True)
    code, out, err = here(*command, "-q")
    assert (code, len(out.splitlines()), err) == (0, 2, "")
    code, out, err = here("run", "--source", tmp_path / "none.mp4", "--quiet")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert err.startswith("error: no such file")


def test_verbose_says_what_is_done(here: Here, tmp_path: Path, tmp_path_factory: Any) -> None:
    """On stderr, and no more of it by the next command of the same process."""
    bundle, clip = shared_bundle(tmp_path_factory), write_video(tmp_path / "clip.mp4", 20)
    command = ("run", "--source", clip, "--bundle", bundle, "--max-predictions", 2, "--json")
    code, _, err = here(*command, "-v")
    assert code == 0
    assert [line for line in err.splitlines() if "loaded in" in line and " ms  " in line]
    assert f"bundle {bundle}: 6 configurations" in err
    assert here(*command)[2] == ""
    assert logging.getLogger("a3d_edge").handlers == []


def test_verbose_and_quiet_exclude_each_other(here: Here) -> None:
    """Exit 2, in one line."""
    assert here("info", "-v", "-q") == (2, "", "error: --verbose and --quiet exclude each other\n")


@pytest.mark.torch
def test_verbose_training_tells_every_step(here: Here, clip_list: Path, tmp_path: Path) -> None:
    """Its losses, where there is otherwise a line an epoch; export tells its steps too."""
    net, cache = tmp_path / "net.pth", ("--cache", tmp_path / "cache")
    code, _, err = here(
        "train", "--data", clip_list, "--out", net, "--epochs", 1, "--batch", 4, "--range", "0.06",
        "--calibration-clips", 0, "-v", *cache,
    )  # fmt: skip
    assert code == 0
    steps = err.count(" ms  cross entropy ")
    assert steps >= 2
    assert err.count(" ms  train: ") == steps
    code, _, err = here(
        "export", net, "--out", tmp_path / "bundle", "--configuration", "w1.00-s142-t3", "--calibration",
        clip_list, "--calibration-clips", 3, "--parity-clips", 2, "-v", *cache,
    )  # fmt: skip
    assert code == 0, err
    assert "calibrate: 3 of 3" in err
    assert "parity: 1 of 1" in err


def test_the_shell_can_complete() -> None:
    """Commands and options, by the variable that the script of ``--show-completion`` sets."""
    for typed, wanted in (
        ("a3d-edge ex", ["explain", "export"]),
        ("a3d-edge run --bu", ["--budget", "--bundle"]),
    ):
        environment = {
            **os.environ, "_A3D_EDGE_COMPLETE": "complete_bash", "COMP_WORDS": typed,
            "COMP_CWORD": str(len(typed.split()) - 1),
        }  # fmt: skip
        done = subprocess.run(
            [PROGRAM], env=environment, capture_output=True, text=True, timeout=60, check=False
        )
        assert sorted(done.stdout.split()) == wanted
    script = subprocess.run(  # of the shell that it is called from
        ["bash", "-c", f"'{PROGRAM}' --show-completion; exit"], capture_output=True, text=True, check=True
    )
    assert "_A3D_EDGE_COMPLETE=complete_bash" in script.stdout
