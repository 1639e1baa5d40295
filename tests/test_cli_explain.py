"""``a3d-edge explain``: its numbers, its figure, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import cv2
import numpy as np
import pytest
from fixtures_bundle import Here, calibrated_checkpoint, write_video

from a3d_edge.bundle import Bundle
from a3d_edge.configuration import pick_frames
from a3d_edge.plots.activation import Explained, draw, overlay, save, upsampled

pytest.importorskip("torch")
pytest.importorskip("av")
pytest.importorskip("matplotlib")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real video of 3 s: longer than the default bundle's window of 56 instants."""
    return write_video(tmp_path_factory.mktemp("explained") / "clip.mp4", 90)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny network, calibrated."""
    from a3d_edge.models.checkpoint import save as save_checkpoint

    path = tmp_path_factory.mktemp("checkpoints") / "tiny.pth"
    save_checkpoint(calibrated_checkpoint(), path)
    return path


def only(out: str) -> dict[str, Any]:
    """The one JSON line of a command."""
    (line,) = out.splitlines()
    found: dict[str, Any] = json.loads(line)
    assert (found["event"], found["schema"]) == ("explanation", 1)
    return found


def test_the_built_in_bundle(here: Here, clip: Path, tmp_path: Path) -> None:
    """Its largest and smallest configuration over the central window; parts that add up to the logit."""
    code, out, err = here("explain", clip, "--out", tmp_path / "why.png", "--json")
    assert (code, err) == (0, "")
    found = only(out)
    bundle = Bundle.default()
    large, small = found["configurations"]
    fp32 = [str(c) for c in bundle.configurations if c.precision == "fp32"]
    assert (large["configuration"], small["configuration"]) == (fp32[-1], fp32[0])
    assert found["label"] == large["label"]
    assert found["window_s"] == pytest.approx([16 / 30, 72 / 30])  # it may begin at 0 to 33
    for row in (large, small):
        shares = sum(frame["logit"] for frame in row["frames"])
        assert shares + row["bias"] + row["fast"] == pytest.approx(row["logit"], abs=1e-6)
        assert row["gflops"] == pytest.approx(
            next(r.gflops for r in bundle.table.rows if str(r.configuration) == row["configuration"])
        )
    assert [frame["time_s"] for frame in small["frames"]] == pytest.approx([16 / 30, 48 / 30], abs=1e-6)
    assert cv2.imread(str(tmp_path / "why.png")).shape[1] > 1000
    assert list(tmp_path.iterdir()) == [tmp_path / "why.png"]


def test_scores_are_those_of_the_runtime(here: Here, clip: Path, tmp_path: Path) -> None:
    """The same window through ONNX Runtime gives the same prediction."""
    from a3d_edge.training.decode import decode
    from a3d_edge.training.windows import plain_window

    out = here("explain", clip, "--out", tmp_path / "why.png", "--start", "0.5", "--json")[1]
    bundle, decoded = Bundle.default(), decode(clip, 256)
    for row in only(out)["configurations"]:
        network = bundle.open(row["configuration"], threads=1)
        size, frames = network.configuration.size, network.configuration.frames
        (window,) = plain_window(decoded, 15, size, bundle.sampling, bundle.preprocessing)
        picked = window.transpose(1, 0, 2, 3)[pick_frames(bundle.sampling.frames, frames)]
        scores = network.classify(network.encode(np.ascontiguousarray(picked)))
        assert row["label"] == bundle.classes[int(scores.argmax())]
        assert row["score"] == pytest.approx(float(scores.max()), abs=1e-3)


def test_a_checkpoint_two_configurations_and_a_label(
    here: Here, clip: Path, checkpoint: Path, tmp_path: Path
) -> None:
    """As named; the larger one first whatever the order; an SVG; people read the numbers on stdout."""
    code, out, err = here(
        "explain", clip, "--out", tmp_path / "why.svg", "--checkpoint", checkpoint, "--label", "still",
        "--configuration", "w0.50-s32-t2", "--configuration", "w1.00-s32-t4", "--start", "1",
    )  # fmt: skip
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == f"{clip}: what speaks for still from 1.00 to 1.20 s"
    assert lines[1].startswith("w1.00-s32-t4 (")
    assert [word for word in lines[2].split() if "." in word][::2] == ["1.00", "1.07", "1.13", "1.20"]
    assert lines[3].startswith("w0.50-s32-t2 (")
    assert [word for word in lines[4].split() if "." in word][::2] == ["1.00", "1.13"]
    root = ElementTree.fromstring((tmp_path / "why.svg").read_bytes())
    pictures = [node for node in root.iter() if node.tag.endswith("}image")]
    assert len(pictures) == 4 + 2 + 1  # frames of either, and the scale


def test_without_calibration_only_the_full_width(here: Here, clip: Path, tmp_path: Path) -> None:
    """An imported network: its narrow widths have no statistics, so they are not shown as if they had."""
    from a3d_edge.models.checkpoint import save as save_checkpoint

    bare = calibrated_checkpoint(())
    save_checkpoint(bare, tmp_path / "bare.pth")
    arguments = ("explain", clip, "--out", tmp_path / "why.png", "--checkpoint", tmp_path / "bare.pth")
    names = [row["configuration"] for row in only(here(*arguments, "--json")[1])["configurations"]]
    assert names == ["w1.00-s37-t4", "w1.00-s18-t1"]
    names = ["--configuration", "w0.50-s18-t1", "--configuration", "w1.00-s37-t4"]
    code, _, err = here(*arguments, *names, "--overwrite")
    assert (code, err.count("\n")) == (2, 1)
    assert "--configuration w0.50-s18-t1 is not in" in err


REFUSED: tuple[tuple[tuple[str, ...], int, str], ...] = (
    (("--out", "why.jpg"), 2, "--out why.jpg: unknown kind of file; end its name with .png or .svg"),
    (("--label", "dance"), 2, "unknown --label 'dance'; the network knows handshake, hug,"),
    (("--configuration", "w1.00-s96-t8"), 2, "two are compared, there is 1"),
    (("--configuration", "w0.55-s96-t8"), 2, "--configuration w0.55-s96-t8 is not in"),
    (("--configuration", "big"), 2, "'big' is not a configuration"),
    (("--start", "9"), 2, "--start 9: the windows of"),
    (("--start", "-1"), 2, "begin between 0 and 1.1"),
    (("--start", "nan"), 2, "--start nan"),
    (("--bundle", ".", "--checkpoint", "x.pth"), 2, "--bundle and --checkpoint exclude each other"),
    (("--checkpoint", "x.pth"), 4, "x.pth: no such checkpoint"),
    (("--bundle", "nowhere"), 4, "nowhere: no such bundle directory"),
    (
        ("--configuration", "w0.80-s55-t2", "--configuration", "w0.50-s55-t2-int8"),
        2,
        "--configuration w0.50-s55-t2-int8 is not in",
    ),
    (("--out", "nowhere/why.png"), 2, "--out nowhere/why.png: no such folder nowhere"),
)


@pytest.mark.parametrize(("arguments", "code", "message"), REFUSED, ids=lambda v: str(v)[:40])
def test_refusals(
    here: Here, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    arguments: Sequence[str], code: int, message: str,
) -> None:  # fmt: skip
    """One line, the right exit code, and no figure."""
    monkeypatch.chdir(tmp_path)
    out = () if "--out" in arguments else ("--out", "why.png")
    got, stdout, err = here("explain", clip, *out, *arguments)
    assert (got, stdout, err.count("\n")) == (code, "", 1)
    assert message in err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [None, b"no video at all"])
def test_a_clip_that_is_none(here: Here, tmp_path: Path, content: bytes | None) -> None:
    """Missing or not a video: exit code 3, and an older figure stays, though it was to be replaced."""
    clip, old = tmp_path / "clip.mp4", tmp_path / "why.png"
    old.write_bytes(b"old")
    if content is not None:
        clip.write_bytes(content)
    code, _, err = here("explain", clip, "--out", old)
    assert (code, err) == (2, f"error: --out {old}: exists; add --overwrite to replace it, or name another\n")
    code, out, err = here("explain", clip, "--out", old, "--overwrite")
    assert (code, out, err.count("\n")) == (3, "", 1)
    assert old.read_bytes() == b"old"


def test_the_clip_itself_is_never_replaced(here: Here, clip: Path, tmp_path: Path) -> None:
    """Not by a hard link of another name, and not with --overwrite."""
    (tmp_path / "why.png").hardlink_to(clip)
    content = clip.read_bytes()
    code, _, err = here("explain", clip, "--out", tmp_path / "why.png", "--overwrite")
    assert (code, err) == (2, f"error: --out {tmp_path}/why.png: is {clip}, which is read; name another\n")
    assert clip.read_bytes() == content


def test_a_clip_shorter_than_the_window(here: Here, tmp_path: Path) -> None:
    """Begins at 0; the last frame is held, as the network sees it."""
    short = write_video(tmp_path / "short.mp4", 20)
    found = only(here("explain", short, "--out", tmp_path / "why.png", "--json")[1])
    assert found["window_s"] == pytest.approx([0.0, 56 / 30])


def explained(slots: tuple[int, ...], prediction: str = "hug", fast: float = 0.0) -> Explained:
    """A row of made-up heat."""
    heat = np.random.default_rng(len(slots)).normal(size=(len(slots), 4, 4))
    shares = heat.mean(axis=(1, 2)) / len(slots)
    return Explained(
        "w1.00-s224-t8", 54.5, prediction, 0.9, 0.1, float(shares.sum()) + fast + 0.1, 0.1, fast, slots, heat,
        shares,
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(144, 256), (256, 100)], ids=["wide", "tall"])
@pytest.mark.parametrize("frames", [1, 8, 16])
def test_no_text_overlaps_or_leaves_the_page(shape: tuple[int, int], frames: int) -> None:
    """Whatever the shape and number of frames, and with names as long as names get."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.text import Text

    name = "shaking hands (not shaking head) with $omebody$"
    pictures = [np.full((*shape, 3), 120, np.uint8)] * frames
    rows = [explained(tuple(range(frames)), "playing squash or racquetball, indoors", 0.3), explained((0,))]
    times = [100 + 0.27 * i for i in range(frames)]
    heading = f"What speaks for {name} in {'a_long_name_' * 9}.mp4"
    figure = draw(rows, pictures, times, name, heading)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    renderer = canvas.get_renderer()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    boxes = [text.get_window_extent(renderer) for text in texts]
    width, height = canvas.get_width_height()
    for text, box in zip(texts, boxes, strict=True):
        inside = box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height
        assert inside, text.get_text()
    for i, box in enumerate(boxes):
        over = [texts[j].get_text() for j in range(i) if box.overlaps(boxes[j])]
        assert not over, (texts[i].get_text(), over)


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    """No date and no random identifier in either format."""
    pictures = [np.full((40, 60, 3), 90, np.uint8)] * 2
    for kind in ("png", "svg"):
        written = []
        for number in range(2):
            figure = draw([explained((0, 1)), explained((0,))], pictures, [0.0, 0.3], "hug", "heading")
            save(figure, tmp_path / f"{number}.{kind}", kind)
            written.append((tmp_path / f"{number}.{kind}").read_bytes())
        assert written[0] == written[1]


def test_overlay_is_red_for_and_blue_against() -> None:
    """In proportion to the contribution; where there is none the grey picture is untouched."""
    picture = np.full((1, 3, 3), 100, np.uint8)
    red, plain, blue = overlay(picture, np.array([[2.0, 0.0, -2.0]]), 2.0)[0].astype(int)
    assert plain.tolist() == [100, 100, 100]
    assert red[0] > 150 > 60 > red[2]
    assert blue[2] > 150 > 60 > blue[0]
    half = overlay(picture, np.array([[1.0, 0.0, 0.0]]), 2.0)[0, 0].astype(int)
    assert plain[0] < half[0] < red[0]
    assert np.array_equal(overlay(picture, np.zeros((1, 3)), 0.0), picture)


def test_heat_lies_where_the_letterbox_put_the_picture() -> None:
    """A wide picture fills the middle rows of the square input: the outer ones belong to its borders."""
    heat = np.zeros((4, 4))
    heat[0], heat[1, 0], heat[3] = 9.0, 1.0, -9.0
    over = upsampled(heat, 20, 40)
    assert over.shape == (20, 40)
    assert over[5, 3] == pytest.approx(0.95)  # half a pixel, of ten, from the middle of position (1, 0)
    assert np.abs(over[5:15, 20:]).max() < 0.5
    whole = upsampled(heat, 40, 40)
    assert whole[3, 20] == pytest.approx(9.0)
    assert np.array_equal(whole[10:30], over)
