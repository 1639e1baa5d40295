"""What `eval` and `table build` share: one list of options, which a command takes as one value."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Annotated

import typer
from typer.testing import CliRunner

from a3d_edge.cli.measuring import Measuring, takes_measuring

seen: list[tuple[Path, Measuring, bool]] = []


@takes_measuring
def command(
    subject: Annotated[Path, typer.Argument(help="A file.")],
    options: Measuring,
    loud: Annotated[bool, typer.Option("--loud", help="Louder.")] = False,
) -> None:
    """Do it."""
    seen.append((subject, options, loud))


def ran(*arguments: str) -> tuple[int, str]:
    """Exit code and output of the command."""
    app = typer.Typer()
    app.command()(command)
    result = CliRunner().invoke(app, arguments)
    return result.exit_code, result.output


def test_the_options_stand_in_the_place_of_their_value() -> None:
    """Typer sees the command's own parameters and each option, and what the command says of itself."""
    names = list(inspect.signature(command).parameters)
    assert names == ["subject", *inspect.signature(Measuring).parameters, "loud"]
    code, out = ran("--help")
    assert code == 0
    assert "Do it." in out
    assert all(option in out for option in ("--data", "--calibration-clips", "--no-calibration", "--loud"))


def test_they_reach_the_command_as_given() -> None:
    """With the defaults of `Measuring` for all that were not."""
    seen.clear()
    assert ran("a.pth", "--data", "x.csv", "--data", "y.csv", "--views", "30", "--no-calibration") == (0, "")
    assert ran("b.pth", "--data", "x.csv", "--loud", "--fold", "2") == (0, "")
    x, y = Path("x.csv"), Path("y.csv")
    assert seen == [
        (Path("a.pth"), Measuring([x, y], views=30, no_calibration=True), False),
        (Path("b.pth"), Measuring([x], fold=2), True),
    ]


def test_what_is_required_is() -> None:
    """Clips to measure on; and a number is held to its limits."""
    code, out = ran("a.pth")
    assert code == 2
    assert "--data" in out
    assert ran("a.pth", "--data", "x.csv", "--views", "0")[0] == 2
