"""Parameters that the library names become options in one place, and only those."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer.main

import a3d_edge
from a3d_edge.cli import app
from a3d_edge.cli.flags import FLAGS, OPPOSITE, as_flags

SOURCES = Path(a3d_edge.__file__).parent
LITERAL = re.compile(r"(?<!\")\"[^\"\n]+\"(?!\")")  # no docstring
FLAG = re.compile(r"(?<![\w-])--[a-z][\w-]*")


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("`epochs` 3 is below 0", "--epochs 3 is below 0"),
        ("`rendered_share` 2 is outside [0, 1)", "--rendered-share 2 is outside [0, 1)"),
        ("match `input_kind` and `aspect`", "match --input and --aspect"),
        ("begun with `mutual`, now without `mutual`", "begun without --no-mutual, now with --no-mutual"),
        ("`smoothing`, `range_name`, `every`", "--label-smoothing, --range, --switch-every"),
        ("a `word` of others, `epochs", "a `word` of others, `epochs"),
    ],
)
def test_a_parameter_becomes_its_option(message: str, shown: str) -> None:
    """Also where the option is called otherwise; what is no parameter stays."""
    assert as_flags(message) == shown


def test_every_option_is_one_that_a_command_has() -> None:
    """So that no message names what nobody can write."""
    group = typer.main.get_command(app)
    there = {
        flag
        for command in commands(group)
        for one in command.params
        for flag in (*one.opts, *one.secondary_opts)
    }
    opposite = {text.split()[-1] for text in OPPOSITE.values()}
    assert opposite == {"--no-mutual", "--no-distillation"}
    assert {*FLAGS.values(), *opposite} <= there | {"--paced"}


def commands(command: object) -> list[object]:
    """A group's commands, and theirs."""
    inner = getattr(command, "commands", {}).values()
    return [command, *(one for each in inner for one in commands(each))]


def test_no_message_of_the_library_has_options() -> None:
    """They name parameters; a whole command that helps ('a3d-edge bench --save-profile') is no option; nor
    is the advice of doctor, which is a command alone."""
    places = [
        *(
            file
            for file in SOURCES.rglob("*.py")
            if not {"cli", "doctor"} & set(file.relative_to(SOURCES).parts)
        ),
        *(SOURCES.parent / "exporters").glob("*.py"),
    ]
    assert len(places) > 100
    found = [
        f"{file.name}: {literal}"
        for file in places
        for literal in LITERAL.findall(file.read_text(encoding="utf-8"))
        if FLAG.search(re.sub(r"'a3d-edge [^']*'|'bench [^']*'|pip install .*|''.*", "", literal))
    ]
    assert found == []
