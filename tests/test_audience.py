"""Sinks that fail, or lack what others have: the others hear everything, and of the failure, once."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import pytest
from fixtures_bundle import Recorder

from a3d_edge.audience import Audience
from a3d_edge.errors import A3DEdgeError, ResourceError
from a3d_edge.events import Events, ReaderLeftError, Summary
from a3d_edge.video.frame import Frame

FRAME = Frame(3, 0.1, np.zeros((2, 2, 3), np.uint8), 0.0)
METHODS = ("frame", "prediction", "switch", "warning", "close")


class Failing(Recorder):
    """Raises from one method; counts how often it was called."""

    def __init__(self, where: str, error: BaseException) -> None:
        super().__init__()
        self.called = 0
        self._error = error
        setattr(self, where, self._fail)

    def _fail(self, *given: Any) -> None:
        self.called += 1
        raise self._error


def tell_everything(audience: Audience, times: int = 3) -> None:
    """Each of the methods; what they are given matters to nobody here."""
    given: Any = "x"
    for _ in range(times):
        audience.frame(FRAME, None)
        audience.prediction(given)
        audience.switch(given)
        audience.warning("careful")
    audience.close()


@pytest.mark.parametrize("where", METHODS)
@pytest.mark.parametrize(
    "error",
    [ValueError("no"), KeyError("none"), BrokenPipeError(32, "gone"), OSError(28, "full"), MemoryError()],
)
def test_one_that_fails_disturbs_nobody(where: str, error: Exception) -> None:
    """Whichever exception: it is told on, the others hear everything and of the failure in one line."""
    before, failing, after = Recorder(), Failing(where, error), Recorder()
    tell_everything(Audience([before, failing, after]))
    for other in (before, after):
        assert (other.frames, other.predictions, other.switches) == ([3] * 3, ["x"] * 3, ["x"] * 3)
        assert other.warnings.count("careful") == 3
        assert other.closed == 1
    told = [warning for warning in before.warnings if warning != "careful"]
    assert told[0].startswith(f"the sink Failing failed in '{where}' ({type(error).__name__}: ")
    assert told[0].endswith("; the run goes on")
    assert "test_audience.py:" in told[0]
    if where != "close":
        assert failing.called == 3
        assert told[1:] == ["the sink Failing failed 3 times in this run"]


@pytest.mark.parametrize("lacking", METHODS)
def test_one_that_lacks_a_method_is_not_told_of_it(lacking: str, caplog: pytest.LogCaptureFixture) -> None:
    """Whether it is not there, or None; and that is no failure."""

    class Partly:
        def __init__(self) -> None:
            self.heard: list[str] = []

        def __getattr__(self, name: str) -> Any:
            if name == lacking or name not in METHODS:
                raise AttributeError(name)
            return lambda *given: self.heard.append(name)

    partly, none = Partly(), Recorder()
    setattr(none, lacking, None)
    tell_everything(Audience([partly, none, object()]))
    assert set(partly.heard) == set(METHODS) - {lacking}
    assert none.warnings == ([] if lacking == "warning" else ["careful"] * 3)
    assert caplog.records == []


def test_nobody_else_to_tell_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """Once, as a warning of the logger a3d_edge, and the traceback for whoever asks for it."""
    caplog.set_level(logging.DEBUG, "a3d_edge")
    tell_everything(Audience([Failing("prediction", ValueError("no")), object()]))
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warnings) == 2
    assert warnings[0].startswith(
        "the sink Failing failed in 'prediction' (ValueError: no, test_audience.py:"
    )
    assert all(record.exc_info for record in caplog.records if record.levelno == logging.DEBUG)


def test_two_that_fail_tell_of_each_other_and_end() -> None:
    """Also where telling of the one is what the other fails at."""
    one, two, three = Failing("warning", ValueError("1")), Failing("warning", ValueError("2")), Recorder()
    audience = Audience([one, two, three])
    audience.warning("careful")
    assert [w.partition(",")[0] for w in three.warnings] == [
        "the sink Failing failed in 'warning' (ValueError: 2",
        "the sink Failing failed in 'warning' (ValueError: 1",
        "careful",
    ]


@pytest.mark.parametrize("error", [A3DEdgeError("x"), ResourceError("full"), ReaderLeftError(32, "gone")])
@pytest.mark.parametrize("where", METHODS)
def test_what_is_raised_on_purpose_ends_the_run(where: str, error: Exception) -> None:
    """All are closed before it comes out."""
    first, ending, last = Recorder(), Failing(where, error), Recorder()
    audience = Audience([first, ending, last])
    with pytest.raises(type(error)):
        tell_everything(audience)
    if where != "close":
        audience.close()
    assert (first.closed, last.closed) == (1, 1)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3)])
def test_ctrl_c_is_nobodys_failure(error: BaseException) -> None:
    """It ends the run as anywhere, and closing goes on."""
    first, ending = Recorder(), Failing("close", error)
    with pytest.raises(type(error)):
        Audience([first, ending]).close()
    assert first.closed == 1


def test_the_last_is_closed_first() -> None:
    """So that those who report, which come first, can tell how closing went."""
    order: list[str] = []

    class Named(Recorder):
        def __init__(self, name: str) -> None:
            super().__init__()
            self._named = name

        def close(self) -> None:
            order.append(self._named)

    Audience([Named("a"), Named("b"), Named("c")]).close()
    assert order == ["c", "b", "a"]


def test_who_wants_every_frame() -> None:
    """Those that take frames and do not say otherwise."""
    calm = Recorder()
    calm.every_frame = False  # type: ignore[attr-defined]
    assert not Audience([]).wants_every_frame
    assert not Audience([calm, object()]).wants_every_frame
    assert Audience([calm, Recorder()]).wants_every_frame


def test_a_sink_that_derives_needs_no_method() -> None:
    """All of `Events` do nothing, and one without a `frame` of its own does not wait for every frame."""

    class Counting(Events):
        def __init__(self) -> None:
            self.heard = 0

        def prediction(self, prediction: Any) -> None:
            self.heard += 1

    class Looking(Events):
        def frame(self, frame: Frame, latest: Any) -> None:
            """Looks."""

    class Calm(Looking):
        every_frame = False

    counting, other = Counting(), Recorder()
    audience = Audience([counting, other])
    given: Any = "x"
    audience.bind(given)
    tell_everything(audience)
    audience.close(Summary())
    assert counting.heard == 3
    assert other.warnings == ["careful"] * 3
    assert not Audience([Events(), Counting(), Calm()]).wants_every_frame
    assert Audience([Events(), Looking()]).wants_every_frame


def test_the_summary_comes_before_the_closing_of_each() -> None:
    """The last first, so that the first sums up when it has heard how closing the others went."""
    order: list[Any] = []

    class Named(Events):
        def __init__(self, name: str) -> None:
            self._named = name

        def warning(self, message: str) -> None:
            order.append((self._named, "warning"))

        def summary(self, summary: Summary) -> None:
            order.append((self._named, summary.predictions))

        def close(self) -> None:
            order.append((self._named, "close"))
            if self._named == "b":
                raise ValueError("no")

    Audience([Named("a"), object(), Named("b")]).close(Summary(predictions=7))
    assert order == [("b", 7), ("b", "close"), ("a", "warning"), ("a", 7), ("a", "close")]


def test_one_that_fails_in_its_summary_is_closed_all_the_same() -> None:
    """What it raises on purpose comes out, anything else is told the others."""
    for error, wanted in ((ResourceError("full"), ResourceError), (ValueError("no"), None)):
        failing, other = Failing("summary", error), Recorder()
        if wanted is None:
            Audience([other, failing]).close(Summary())
            assert other.warnings[0].startswith("the sink Failing failed in 'summary' (ValueError: no")
        else:
            with pytest.raises(wanted):
                Audience([other, failing]).close(Summary())
        assert (failing.closed, other.closed) == (1, 1)
