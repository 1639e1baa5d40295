"""``a3d-edge run``: recognise actions in a camera, file, folder or stream, at a budget."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from a3d_edge.cli.alerts import ALERT, ALERTS, alerting
from a3d_edge.cli.common import BUNDLE_HELP, load_bundle
from a3d_edge.cli.controlling import CONFIG, DECISIONS, controlling
from a3d_edge.cli.notices import say
from a3d_edge.cli.operating import logs, operating
from a3d_edge.cli.signals import STOPPING, Terminated, came, closes_itself, let_go_soon
from a3d_edge.cli.unheard import ending_unheard
from a3d_edge.errors import ResourceError, UsageError
from a3d_edge.outputs import claim

if TYPE_CHECKING:
    from a3d_edge.bundle import Bundle
    from a3d_edge.configuration import Configuration
    from a3d_edge.events import Events
    from a3d_edge.runtime import Runtime


def run(
    camera: int = typer.Option(None, "--camera", help="Camera number.", min=0),
    source: str = typer.Option(
        None,
        "--source",
        help="Video file, folder of images, URL, env:NAME or secret:FILE that hold one, or 'demo'.",
    ),
    bundle: str = typer.Option(None, "--bundle", help=BUNDLE_HELP),
    budget: str = typer.Option(
        "auto", "--budget", help="auto, 0.25, 5GFLOPs, 80ms, w0.50-s112-t4, or trace:FILE."
    ),
    hop: int = typer.Option(
        None, "--hop", help="Model frames between two predictions (default: one sampled frame)."
    ),
    json_lines: bool = typer.Option(False, "--json", help="JSON Lines on stdout."),
    save: Path = typer.Option(None, "--save", help="Write an annotated video (.mp4 or .avi)."),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace a video that is there at --save."),
    show: bool = typer.Option(False, "--show", help="Show an annotated window; q ends."),
    max_predictions: int = typer.Option(None, "--max-predictions", help="Stop after so many.", min=1),
    seconds: float = typer.Option(None, "--seconds", help="Stop after so many seconds."),
    realtime: bool = typer.Option(False, "--realtime", help="Pace a file like a camera."),
    stall: float = typer.Option(5.0, "--stall", help="Seconds without a picture after which to reconnect."),
    give_up: float = typer.Option(
        None, "--give-up", help="End when a source is away for so many seconds (default: never)."
    ),
    allow_redirect: bool = typer.Option(
        False, "--allow-redirect", help="Let a URL or playlist lead to other servers or files."
    ),
    engine: str = typer.Option("ort:CPU", "--engine", help="ort:CPU, ort:<execution provider>, or openvino."),
    switch_every: int = typer.Option(
        None, "--switch-every", help="Soak test: go through all configurations."
    ),
    threads: int = typer.Option(
        None, "--threads", help="Threads of the network (default: the cores).", min=1
    ),
    memory: str = typer.Option(
        None,
        "--memory",
        help="What loaded networks may take: 200MB (default: a quarter of what is free).",
    ),
    cache: str = typer.Option(
        None,
        "--cache",
        help="Disk for prepared networks: 500MB, or none (default: a tenth of what is free, up to 2GB).",
    ),
    profile: str = typer.Option(
        "auto", "--profile", help="Device profile: auto (as 'bench --save-profile' kept it), none, or a file."
    ),
    people: str = typer.Option(
        None,
        "--people",
        help="Where people are, for a bundle that answers for each: boxes.jsonl, a named pipe, "
        "mqtt://HOST/TOPIC, detector.toml, detector.onnx, or hog.",
    ),
    people_every: float = typer.Option(
        None, "--people-every", help="Seconds between two detections (default: as often as a window)."
    ),
    alert: list[str] = ALERT,
    alerts: Path = ALERTS,
    metrics: str = typer.Option(
        None, "--metrics", help="Serve Prometheus metrics, /healthz and /readyz: PORT, or ADDRESS:PORT."
    ),
    config: Path = CONFIG,
    decisions: Path = DECISIONS,
    log: list[Path] = typer.Option(
        None, "--log", help="Append messages to a file; of .jsonl what --json prints. May be given again."
    ),
    log_size: str = typer.Option("10MB", "--log-size", help="A log of that size is renamed; 5 are kept."),
) -> None:
    """Recognise actions in a source, one prediction a hop, the configuration switched live to the budget."""
    closes_itself()
    if (camera is None) == (source is None):
        raise UsageError("name one source: --camera N or --source FILE|FOLDER|URL|demo")
    if hop is not None and hop < 1:
        raise UsageError(f"--hop {hop} is below 1; it is the number of model frames between predictions")
    if seconds is not None and not seconds > 0:
        raise UsageError(f"--seconds {seconds} is not above 0")
    if save is not None:
        with suppress(ResourceError):  # no room: the recording says so itself, and the run does without it
            claim(save, name="save", inputs=[_file_of(source)], overwrite=overwrite)
    logged = logs(log, log_size, [_file_of(source)]) if log else []
    from a3d_edge.configuration import Budget
    from a3d_edge.device.cores import checked_threads
    from a3d_edge.engine.cache.prepared import cache_of
    from a3d_edge.engine.engines import find_engine
    from a3d_edge.engine.memory import parse_memory
    from a3d_edge.runtime import Cycle, Runtime
    from a3d_edge.video.source import open_source

    threads = checked_threads(threads)
    parsed, found = Budget.parse(budget), find_engine(engine)
    allowed, kept = None if memory is None else parse_memory(memory), cache_of(cache)
    loaded = load_bundle(bundle)
    if parsed.configuration is not None:
        loaded.table.row(parsed.configuration)
    controller = None if switch_every is None else Cycle(loaded.configurations, switch_every)
    chosen_live = parsed.configuration is None and not isinstance(controller, Cycle)
    watched = alerting(alert, alerts, loaded)
    decided = controlling(parsed, config, decisions, log_size, [_file_of(source)])
    known = _latencies(profile, loaded, engine, threads, hop) if chosen_live else None
    opened = open_source(
        camera if source is None else source, realtime=realtime, classes=loaded.classes,
        stall_s=stall, give_up_s=give_up, allow_redirect=allow_redirect,
    )  # fmt: skip
    try:
        events = [*_events(json_lines, save, show, opened.frame_rate), *logged]
        events += watched.events(patient=not opened.live)
        events += decided.sinks
        events += operating(opened, budget, metrics, events)
        runtime = Runtime(
            loaded, opened, budget=parsed, hop=hop, controller=controller, events=events,
            max_predictions=max_predictions, seconds=seconds, threads=threads, engine=found, latencies=known,
            memory=allowed, cache=kept, alerts=watched.rules, settings=decided.settings,
            people=people, people_every=people_every,
        )  # fmt: skip
    except BaseException:
        opened.close()
        raise
    _run(runtime)


def _file_of(source: str | None) -> Path | None:
    """The file that is read, which a recording must not replace."""
    from a3d_edge.video.source import file_of

    return None if source is None else file_of(source)


def _latencies(
    word: str, bundle: Bundle, engine: str, threads: int, hop: int | None
) -> Mapping[Configuration, float] | None:
    """What the device profile knows of this bundle's latencies; that there is one is said on stderr."""
    from a3d_edge.engine.engines import find_engine
    from a3d_edge.profiling.profiles import choose, describe_device, latencies

    if word == "none":
        return None
    device = describe_device(find_engine(engine).name, threads)
    chosen = choose(word, bundle, device)
    if chosen.note:
        say(chosen.note)
    return None if chosen.profile is None else latencies(chosen.profile, bundle, hop)


def _run(runtime: Runtime) -> None:
    """Run to the end, or until a signal ends it."""
    with _stopping_on_signals(runtime) as caught:
        runtime.run()
    if caught:
        raise typer.Exit(128 + caught[0])


@contextmanager
def _stopping_on_signals(runtime: Runtime) -> Iterator[list[int]]:
    """Ctrl-C and SIGTERM end the run in order; a second one at once, and so does one that nobody hears."""
    caught: list[int] = []
    with ending_unheard(STOPPING) as heard:

        def stop(number: int, frame: FrameType | None) -> None:
            heard()
            if caught:
                raise Terminated if number == signal.SIGTERM else KeyboardInterrupt
            caught.append(number)
            let_go_soon()
            runtime.stop()

        before = {number: signal.signal(number, stop) for number in STOPPING}
        if came() is not None:  # while it was set up, and something has swallowed it
            caught.append(came() or 0)
            runtime.stop()
        try:
            yield caught
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def _events(json_lines: bool, save: Path | None, show: bool, frame_rate: float | None) -> list[Events]:
    from a3d_edge.sinks.pictures import PictureEvents
    from a3d_edge.sinks.text import TextEvents

    events: list[Events] = []
    if json_lines:
        from a3d_edge.sinks.jsonl import JsonEvents, JsonLines

        events.append(JsonEvents(JsonLines(sys.stdout), sys.stderr))
    else:
        events.append(TextEvents(sys.stdout, sys.stderr))
    if save is not None:
        from a3d_edge.sinks.video_writer import VideoSink

        events.append(PictureEvents(VideoSink(save, frame_rate or 30.0)))
    if show:
        from a3d_edge.libraries import several_opencv
        from a3d_edge.sinks.overlay import Window

        if note := several_opencv("opencv-python"):
            typer.echo(f"warning: {note}", err=True)
        events.append(PictureEvents(Window()))
    return events
