"""Rules over a run: breaks of the stream, silence, its end; and that what is told survives a switch."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fixtures_bundle import CONFIGURATIONS, LARGEST, SMALLEST, ListSource, Recorder, pictures
from fixtures_events import kind_of

from a3d_edge import Alert, AlertRule, Bundle, Recognizer, Runtime
from a3d_edge.alerts import AlertWatch, watch_for
from a3d_edge.control.cycle import Cycle
from a3d_edge.errors import UsageError
from a3d_edge.events import Prediction, Summary
from a3d_edge.sinks.jsonl import plain

RULE = AlertRule(label="hug", threshold=0.5, release_s=1.0)
HUG = Prediction(2.0, 0.0, "hug", 0.75, (("hug", 0.75), ("kick", 0.25)), LARGEST, 20.0, 30.0, source="yard")


class Told(Recorder):
    """Keeps alerts, too, and the summary."""

    def __init__(self) -> None:
        super().__init__()
        self.alerts: list[Alert] = []
        self.counts: dict[str, int] = {}

    def alert(self, alert: Alert) -> None:
        self.alerts.append(alert)

    def summary(self, summary: Summary) -> None:
        self.counts = dict(summary.alerts)

    @property
    def states(self) -> list[str]:
        return [alert.state for alert in self.alerts]


def watch(**changes: object) -> AlertWatch:
    """Of one rule, with a clock that stands."""
    thresholds = {LARGEST: 0.5, SMALLEST: 0.5}
    return AlertWatch(
        [(RULE.model_copy(update=changes), thresholds)], clock=lambda: 1_700_000_000.0, token="abcd"
    )


def at(time_s: float, **changes: object) -> Prediction:
    """A hug at that time."""
    return replace(HUG, stream_time_s=time_s, window_start_s=time_s - 2.0, **changes)  # type: ignore[arg-type]


def test_an_alert_says_when_where_and_how_sure() -> None:
    """In the stream's time and by the clock, with the source and the configuration; it fits the schema."""
    [started] = watch().see(at(3.0, captured_at=1_700_000_000.0))
    assert started.id == "20231114T221319000Z-abcd-1"
    line = {"event": "alert", "schema": 1, **plain(started.fields())}
    assert kind_of(line) == "alert"
    assert line["start_s"] == 2.0  # the middle of the window
    assert line["time"] == "2023-11-14T22:13:19.000Z"
    assert (line["source"], line["peak"], line["configuration"], line["reason"]) == (
        "yard", 0.75, str(LARGEST), None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("following", "reason"),
    [(at(30.0), "gap"), (at(3.25, take=1), "cut"), (at(-20.0), "cut")],
)
def test_a_break_of_the_stream_ends_what_goes_on(following: Prediction, reason: str) -> None:
    """A pause of 10 s, a camera that was away or a cut, a time that begins anew: another event begins."""
    watching = watch()
    assert [one.state for one in watching.see(at(3.0))] == ["started"]
    ended, started = watching.see(following)
    assert (ended.state, ended.reason, started.state) == ("ended", reason, "started")
    assert ended.id != started.id
    assert (ended.seq, started.seq) == (2, 1)
    assert watching.counts == {"started": 2, "ended": 1}


def test_a_window_that_ends_a_little_earlier_breaks_nothing() -> None:
    """As after a switch to a configuration that picks fewer frames."""
    watching = watch()
    watching.see(at(3.0))
    assert watching.see(at(2.5)) == []
    [ended] = watching.stream_over()
    assert ended.end_s == ended.start_s + ended.duration_s >= ended.start_s
    assert [one.state for one in watching.see(at(0.5))] == ["started"]


def test_silence_ends_what_goes_on_by_the_clock() -> None:
    """Ten seconds in which the source gives nothing; time in which nobody asked for frames does not count."""
    watching = watch()
    watching.see(at(3.0))
    assert watching.waited(1000.0) == []
    assert watching.waited(1009.0) == []
    watching.see(at(3.25))
    assert watching.waited(2000.0) == []
    [ended] = watching.waited(2010.5)
    assert (ended.state, ended.reason) == ("ended", "silence")
    assert watching.waited(2030.0) == watching.end() == []


def test_rules_that_cannot_be_are_refused(bundle: Bundle) -> None:
    """Before the run: classes, names, and thresholds that the table does not have."""
    assert watch_for([], bundle) is None
    for alerts, message in (
        (["rigth>0.5"], "no class 'rigth'; did you mean 'right'?"),
        ([AlertRule(label="up", threshold=0.5)], "alert 'up': no class 'up'"),
        (["right>0.5", "right>0.6"], "alert 'right': there are two of that name; give one another `name`"),
        (
            ["right"],
            "alert 'right': the bundle's table has no threshold for 'right' at w0.50-s18-t1; give one",
        ),
    ):
        with pytest.raises(UsageError, match=message.replace("?", r"\?")):
            watch_for(alerts, bundle)
    with pytest.raises(UsageError, match="give a list"):
        watch_for("right>0.5", bundle)


def test_thresholds_come_from_the_table_a_configuration(bundle: Bundle) -> None:
    """So that a switch does not change what counts."""
    rows = [
        row.model_copy(update={"thresholds": {"right": 0.01 * number}})
        for number, row in enumerate(bundle.table.rows, 1)
    ]
    known = replace(bundle, table=bundle.table.with_rows(rows))
    watching = watch_for(["right"], known)
    assert watching is not None
    seen = {}
    for number, configuration in enumerate(CONFIGURATIONS):
        prediction = replace(
            HUG, top=(("right", 0.9),), configuration=configuration, stream_time_s=0.25 * number
        )
        [alert] = watching.see(prediction)
        seen[configuration] = alert.threshold
    assert sorted(seen.values()) == pytest.approx([0.01, 0.02, 0.03, 0.04, 0.05, 0.06])


def test_a_run_with_a_switch_every_window_tells_of_one_event(bundle: Bundle) -> None:
    """A real one through all configurations: the switches are told of as updates, and end nothing."""
    told = Told()
    alerts = [AlertRule(label=name, threshold=1e-30, release_s=60.0, update_s=0.0) for name in bundle.classes]
    Runtime(
        bundle, ListSource(60), controller=Cycle(bundle.configurations, 2), events=[told], alerts=alerts
    ).run()
    assert len(told.switches) > 5
    for name in bundle.classes:
        states = [one.state for one in told.alerts if one.label == name]
        assert states == ["started", *["updated"] * (len(states) - 2), "ended"]
        assert len(states) > 5
    assert {one.reason for one in told.alerts if one.state == "ended"} == {"end"}
    assert told.counts == {"started": 3, "ended": 3}


def test_a_recognizer_tells_too_and_ends_with_its_stream(bundle: Bundle) -> None:
    """`flush` ends events, for what follows is another stream."""
    told = Told()
    with Recognizer(bundle, events=[told], alerts=["right>0.0001", "down>0.0001"], live=False) as recognizer:
        for number, picture in enumerate(pictures(20)):
            recognizer.push(picture, number / 30)
        assert set(told.states) == {"started"}
        recognizer.flush()
        assert told.states[-2:] == ["ended", "ended"]


def test_a_sink_that_fails_on_an_alert_disturbs_nobody(bundle: Bundle) -> None:
    """As for all else that is told."""

    class Broken:
        def alert(self, alert: Alert) -> None:
            raise ValueError("no")

    told = Told()
    Runtime(bundle, ListSource(30), events=[Broken(), told], alerts=["right>0.0001"]).run()
    assert told.states[0] == "started"
    assert told.states[-1] == "ended"
    assert "the sink" in told.warnings[0]
    assert "failed in 'alert'" in told.warnings[0]
