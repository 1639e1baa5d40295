"""The command line: one module a command, every heavy import inside the command, so that --help is quick."""

from __future__ import annotations

import atexit
import errno
import os
import signal
import sys
from contextlib import suppress
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from a3d_edge.cli import (
    bench,
    cache,
    config,
    data,
    doctor,
    explain,
    export,
    fit,
    flops,
    import_,
    info,
    record_signals,
    run,
    simulate,
    table,
    train,
    verify,
)
from a3d_edge.cli import eval as eval_command
from a3d_edge.cli.flags import as_flags
from a3d_edge.cli.help import Command
from a3d_edge.cli.notices import also_to, tell_others, warnings_as_lines
from a3d_edge.cli.signals import Terminated, came, interrupting, may_leave_at_once
from a3d_edge.cli.streams import drop_unwritten, prepare_streams
from a3d_edge.errors import A3DEdgeError
from a3d_edge.shown import shown

__all__ = ["app", "main"]


class _Ended(Exception):  # noqa: N818 - an end, not always an error
    """Carries Ctrl-C, or a reader of our output that has left, past typer, which has answers of its own."""


class _Group(TyperGroup):
    def invoke(self, ctx: typer.Context) -> object:  # type: ignore[override]
        try:
            return super().invoke(ctx)
        except (BrokenPipeError, KeyboardInterrupt) as error:
            raise _Ended from error


app = typer.Typer(
    name="a3d-edge",
    cls=_Group,
    help="One trained video network that a device runs at any cost: train, export, run, switch to a budget.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # plain help: importing rich for it would double the start-up time
)
app.command("run", cls=Command)(run.run)
app.command("export", cls=Command)(export.export)
app.command("import", cls=Command)(import_.import_checkpoint)
app.command("info", cls=Command)(info.info)
app.command("verify", cls=Command)(verify.verify)
app.command("bench", cls=Command)(bench.bench)
app.command("flops", cls=Command)(flops.flops)
app.command("train", cls=Command)(train.train)
app.command("fit", cls=Command)(fit.fit)
app.command("eval", cls=Command)(eval_command.evaluate)
app.command("explain", cls=Command)(explain.explain)
app.command("simulate", cls=Command)(simulate.simulate)
app.command("record-signals", cls=Command)(record_signals.record_signals)
app.command("doctor", cls=Command)(doctor.doctor)
app.add_typer(table.app, name="table")
app.add_typer(data.app, name="data")
app.add_typer(cache.app, name="cache")
app.add_typer(config.app, name="config")


@app.callback(invoke_without_command=True)
def _root(
    version: bool = typer.Option(False, "--version", "-V", help="Print the version and exit."),
) -> None:
    if version:
        from a3d_edge import __version__

        typer.echo(__version__)
        raise typer.Exit


def main() -> None:
    """Entry point of ``a3d-edge``: typed errors become one line on stderr and their exit code."""
    prepare_streams()
    also_to()
    with interrupting():
        try:
            with warnings_as_lines():
                code = _code()
        except KeyboardInterrupt:  # while the end was told
            code = _interrupted(came() or signal.SIGINT)
        drop_unwritten()
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process; at once where a read of a source still blocks in a thread (see `any_abandoned`).

    And where a signal ended a run: all is closed by then, and to take the interpreter apart costs a third of
    a second of a core, which is four on a busy machine.
    """
    reader = sys.modules.get("a3d_edge.video.reader")
    at_once = may_leave_at_once(code)
    if at_once:
        atexit._run_exitfuncs()
    if at_once or (reader is not None and reader.any_abandoned()):
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(code)
    sys.exit(code)


def _code() -> int:
    """Run the command; its exit code."""
    try:
        code = app(standalone_mode=False)
        sys.stdout.flush()
    except (_Ended, KeyboardInterrupt, BrokenPipeError) as error:
        return _ended(error.__cause__ if isinstance(error, _Ended) else error)
    except Exception as error:
        return _failure(error) if came() is None else _interrupted(came())
    return _interrupted(came()) or (code if isinstance(code, int) else 0)


def _failure(error: Exception) -> int:
    """The exit code of what went wrong, which is told."""
    if isinstance(error, A3DEdgeError):
        return _failed(f"error: {as_flags(str(error))}", error.exit_code)
    if isinstance(error, MemoryError):
        return _failed("error: out of memory; use a smaller configuration or batch", 5)
    return _explained(error)


def _explained(error: Exception) -> int:
    """What is not ours, but has a cause that can be told in one line; anything else is a fault."""
    if hasattr(error, "format_message"):  # a refusal of click, or of typer's own copy of it
        return _refused(error)
    from a3d_edge.libraries import why_not_loaded

    if isinstance(error, ImportError | OSError | ValueError) and (why := why_not_loaded(error)):
        return _failed(f"error: {why}", 5)
    if isinstance(error, OSError):
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        what = f"cannot write the output ({error.strerror})" if error.errno in _WRITING else str(error)
        return _failed(f"error: {what}{'; is the disk full?' if full else ''}", 5 if full else 1)
    raise error


_WRITING = (errno.ENOSPC, errno.EDQUOT, errno.EBADF)
"""What writing to stdout says; all else that is written names its file, in an error of ours."""


def _refused(error: Any) -> int:
    """Options that cannot be parsed, in one line like every other error."""
    message = str(error.format_message())
    if "\n" in message:  # no command was given: the message is the help
        error.show()
        return 2
    context = getattr(error, "ctx", None)
    hint = f" (try '{context.command_path} --help')" if context is not None else ""
    return _failed(f"error: {message}{hint}", 2)


def _ended(cause: BaseException | None) -> int:
    if isinstance(cause, BrokenPipeError):  # the reader of our output has left: an end, not a failure
        return 0
    return _interrupted(signal.SIGTERM if isinstance(cause, Terminated) else signal.SIGINT)


def _interrupted(number: int | None) -> int:
    """The code of a signal, which is told; 0 without one."""
    if number is None:
        return 0
    return _failed("terminated" if number == signal.SIGTERM else "interrupted", 128 + number)


def _failed(message: str, code: int) -> int:
    from a3d_edge.video.addresses import scrubbed

    line = shown(scrubbed(" ".join(message.split("\n"))))  # whatever option a URL was given to
    tell_others(line)
    print(line, file=sys.stderr)  # noqa: T201 - the command line is what prints
    return code
