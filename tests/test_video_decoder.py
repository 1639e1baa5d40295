"""The one reader of video: real containers, damaged, odd, in every layout; training sees what run sees."""

from __future__ import annotations

import struct
import wave
import zlib
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from a3d_edge.errors import SourceError
from a3d_edge.training.decode import decode
from a3d_edge.video.decoder import Decoder
from a3d_edge.video.files import VideoFile
from a3d_edge.video.opencv import Image
from a3d_edge.video.sampler import Sampler, Sampling
from a3d_edge.video.source import open_source

RATE = 25
HEIGHT, WIDTH = 48, 64


def picture(number: int, size: tuple[int, int] = (HEIGHT, WIDTH)) -> NDArray[np.uint8]:
    """Left half a level that says which one it is, upper right bright, lower right dark."""
    image = np.full((*size, 3), 20 + 8 * (number % 25), np.uint8)
    image[: size[0] // 2, size[1] // 2 :] = 230
    image[size[0] // 2 :, size[1] // 2 :] = 10
    return image


def write(
    path: Path,
    pictures: Iterable[NDArray[np.uint8]],
    codec: str = "mpeg4",
    *,
    layout: str = "yuv420p",
    stamps: Sequence[int] | None = None,
    base: Fraction = Fraction(1, 1000),
    options: dict[str, str] | None = None,
    prepare: Callable[[av.VideoStream], None] = lambda stream: None,
) -> Path:
    """A real file; ``stamps`` in units of ``base``, else ``RATE`` pictures a second."""
    shown = list(pictures)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, options=options or {})
        stream.height, stream.width = shown[0].shape[:2]
        stream.pix_fmt = layout
        prepare(stream)
        if stamps is not None:
            stream.time_base = stream.codec_context.time_base = base
        for number, image in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(image, format="bgr24").reformat(format=layout)
            frame.pts = number if stamps is None else stamps[number]
            frame.time_base = Fraction(1, RATE) if stamps is None else base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def read(path: Path) -> tuple[list[Image], Decoder]:
    decoder = Decoder(str(path), path.name)
    images = []
    while (found := decoder.read()) is not None:
        images.append(found[0])
    return images, decoder


def write_mjpeg_avi(path: Path, count: int, broken: Iterable[int]) -> Path:
    """An AVI of which some pictures are damaged inside."""
    write(path, map(picture, range(count)), "mjpeg", layout="yuvj420p")
    data = bytearray(path.read_bytes())
    at = data.index(b"movi")
    for number in range(count):
        at = data.index(b"00dc", at) + 8
        (length,) = struct.unpack("<I", data[at - 4 : at])
        if number in broken:
            data[at + 2 : at + length] = bytes(length - 2)
        at += length
    path.write_bytes(data)
    return path


def test_broken_pictures_are_passed_over_and_counted(tmp_path: Path) -> None:
    """Every picture behind a damaged one is still there, at its own time."""
    path = write_mjpeg_avi(tmp_path / "a.avi", 40, broken=range(5, 40, 10))
    images, decoder = read(path)
    assert (len(images), decoder.unreadable) == (36, 4)
    video = VideoFile(str(path), "a.avi")
    frames = [frame for frame in iter(video.read, None) if frame]
    assert [frame.index for frame in frames] == list(range(36))
    assert [frame.time_s for frame in frames] == pytest.approx([n / RATE for n in range(40) if n % 10 != 5])


def test_damaged_pictures_are_the_same_every_time(tmp_path: Path) -> None:
    """What a codec makes up for damage does not depend on its threads: five times the same pixels."""
    rng = np.random.default_rng(0)
    scene = cv2.resize(
        rng.integers(0, 255, (60, 160, 3), np.uint8), (640, 480), interpolation=cv2.INTER_CUBIC
    )
    shown = [np.ascontiguousarray(scene[n : n + 240, 3 * n : 3 * n + 320]) for n in range(60)]
    path = write(tmp_path / "a.mp4", shown, "libx264", options={"preset": "ultrafast", "g": "60"})
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    data = bytearray(path.read_bytes())
    for at, size in places[5::7]:
        for _ in range(3):
            data[at + 8 + int(rng.integers(max(1, size - 9)))] ^= int(rng.integers(1, 255))
    path.write_bytes(data)
    images, decoder = read(path)
    assert len(images) + decoder.unreadable > 50
    for _ in range(4):
        again, _ = read(path)
        assert len(again) == len(images)
        assert all(np.array_equal(one, other) for one, other in zip(images, again, strict=True))


def test_many_pictures_that_wait_do_not_stay_in_the_pool(tmp_path: Path) -> None:
    """Of those held at once only so many are the pool's; the others are copies; all show what they should."""
    path = write(tmp_path / "a.avi", map(picture, range(20)), "ffv1", layout="bgr0")
    decoder = Decoder(str(path), path.name, pooled=3)
    held = [found[0] for found in iter(decoder.read, None) if found]
    assert [image.flags.owndata for image in held] == [False] * 3 + [True] * 17
    for number, image in enumerate(held):
        np.testing.assert_array_equal(image, picture(number))


def test_half_a_jpeg_is_no_picture(tmp_path: Path) -> None:
    """Cut off inside its AVI: unreadable, as in a folder of pictures, and not half grey."""
    path = write(tmp_path / "a.avi", map(picture, range(20)), "mjpeg", layout="yuvj420p")
    data = bytearray(path.read_bytes())
    at = data.index(b"movi")
    for number in range(20):
        at = data.index(b"00dc", at) + 8
        (length,) = struct.unpack("<I", data[at - 4 : at])
        if number == 7:
            data[at + length // 2 : at + length] = bytes(length - length // 2)
        at += length
    path.write_bytes(data)
    images, decoder = read(path)
    assert (len(images), decoder.unreadable) == (19, 1)


def test_a_file_cut_off_gives_what_it_has_and_counts_the_rest(tmp_path: Path) -> None:
    """Of an mp4 with its index first, half of the pictures; what the index promises is counted."""
    whole = write(
        tmp_path / "a.mp4",
        (np.random.default_rng(n).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8) for n in range(100)),
        options={"g": "10"},
    )
    with (
        av.open(str(whole)) as source,
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as target,
    ):
        copied = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = copied
                target.mux(packet)
    data = (tmp_path / "fast.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) // 2])
    images, decoder = read(tmp_path / "cut.mp4")
    assert 30 < len(images) < 70
    assert len(images) + decoder.unreadable == pytest.approx(100, abs=2)
    assert len(decode(tmp_path / "cut.mp4", 160).times) == len(images)


def test_sound_that_goes_on_longer_is_no_damage(tmp_path: Path) -> None:
    """A container announces the length of its longest stream."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=RATE)
        video.height, video.width, video.pix_fmt = HEIGHT, WIDTH, "yuv420p"
        sound = container.add_stream("pcm_s16le", rate=8000)
        for number in range(50):
            container.mux(video.encode(av.VideoFrame.from_ndarray(picture(number), format="bgr24")))
        container.mux(video.encode())
        for second in range(8):
            block = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.int16), format="s16", layout="mono")
            block.sample_rate, block.pts, block.time_base = 8000, 8000 * second, Fraction(1, 8000)
            container.mux(sound.encode(block))
        container.mux(sound.encode())
    images, decoder = read(path)
    assert (len(images), decoder.unreadable) == (50, 0)


def test_variable_rates_are_no_damage(tmp_path: Path) -> None:
    """A few long pauses between pictures: all there, none unreadable."""
    stamps = [0, 40, 80, 900, 940, 2500, 2540, 2580]
    images, decoder = read(write(tmp_path / "v.mp4", map(picture, range(8)), stamps=stamps))
    assert (len(images), decoder.unreadable) == (8, 0)


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_pictures_are_upright_and_unmirrored(tmp_path: Path, degrees: int, mirrored: bool) -> None:
    """As the display matrix of the file says, by the closed form of where each corner goes."""
    path = write(tmp_path / "a.mp4", [picture(0)] * 3, "mpeg4")
    turned = {0: (1, 0, 0, 1), 90: (0, 1, -1, 0), 180: (-1, 0, 0, -1), 270: (0, -1, 1, 0)}[degrees]
    a, b, c, d = (-turned[0], -turned[1], turned[2], turned[3]) if mirrored else turned
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    one, half = 1 << 16, 1 << 30
    data[at : at + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, half)
    path.write_bytes(data)
    (image, *_), _ = read(path)
    levels = np.array([[40, 200], [20, 0]])  # of the corners: left, bright, left, dark
    corners = np.array([[20, 230], [20, 10]])
    expected = np.zeros((2, 2))
    for y in (0, 1):
        for x in (0, 1):
            px, py = 2 * x - 1, 2 * y - 1
            expected[(b * px + d * py + 1) // 2, (a * px + c * py + 1) // 2] = corners[y, x]
    height, width = image.shape[:2]
    assert (height < width) == (degrees % 180 == 0)
    quarter = image.reshape(2, height // 2, 2, width // 2, 3).mean(axis=(1, 3, 4))
    np.testing.assert_allclose(quarter, expected, atol=12)
    assert levels.shape == expected.shape


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [
        (Fraction(2, 1), (48, 128)),
        (Fraction(1, 2), (48, 32)),
        (Fraction(1, 1), (48, 64)),
        (Fraction(1, 100), (48, 64)),  # nobody films so: the file is wrong about it
    ],
)
def test_pixels_are_square(tmp_path: Path, aspect: Fraction, shape: tuple[int, int]) -> None:
    """The width is what the sample aspect ratio makes of it, for running and training alike."""

    def prepare(stream: av.VideoStream) -> None:
        stream.codec_context.sample_aspect_ratio = aspect
        stream.sample_aspect_ratio = aspect

    path = write(tmp_path / "a.mkv", [picture(0)] * 3, prepare=prepare)
    images, _ = read(path)
    assert images[0].shape[:2] == shape
    assert decode(path, 1000).frames[0].shape[:2] == shape


def test_interlaced_pictures_are_whole(tmp_path: Path) -> None:
    """Fields are put together again: as many pictures as frames, in order, bright all over."""
    options = {"flags": "+ilme+ildct", "x264-params": "tff=1"}
    path = write(tmp_path / "a.mp4", map(picture, range(20)), "libx264", options=options)
    images, decoder = read(path)
    assert (len(images), decoder.unreadable) == (20, 0)
    left = [float(image[4:-4, 4:28].mean()) for image in images]
    assert left == pytest.approx([20 + 8 * n for n in range(20)], abs=6)


@pytest.mark.parametrize(
    ("codec", "layout", "name"),
    [
        ("ffv1", "yuv420p", "a.mkv"),
        ("ffv1", "yuv444p", "a.mkv"),
        ("ffv1", "yuv422p10le", "a.mkv"),
        ("ffv1", "gray", "a.mkv"),
        ("ffv1", "gray16le", "a.mkv"),
        ("ffv1", "bgra", "a.mkv"),
        ("mjpeg", "yuvj420p", "a.avi"),
        ("rawvideo", "bgr24", "a.avi"),
        ("rawvideo", "yuyv422", "a.avi"),
        ("libx264", "yuv420p", "a.ts"),
        ("gif", "rgb8", "a.gif"),
        ("png", "rgb24", "a.mov"),
    ],
)
def test_every_colour_layout_is_bgr(tmp_path: Path, codec: str, layout: str, name: str) -> None:
    """(H, W, 3) uint8 with the levels that were written, from any codec and container."""
    images, _ = read(write(tmp_path / name, [picture(5)] * 4, codec, layout=layout))
    assert (images[0].shape, images[0].dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
    np.testing.assert_allclose(images[0][8:40, 4:28].mean(axis=(0, 1)), [60, 60, 60], atol=9)


@pytest.mark.parametrize("transfer", [16, 18])
def test_high_dynamic_range_is_brought_to_standard(tmp_path: Path, transfer: int) -> None:
    """PQ and HLG: as OpenCV's FFmpeg maps them, within 3 grey levels, and not as if they were standard."""

    def prepare(stream: av.VideoStream) -> None:
        context = stream.codec_context
        context.color_trc, context.color_primaries, context.colorspace = transfer, 9, 9

    path = write(
        tmp_path / "hdr.mp4", map(picture, range(10)), "libx264", layout="yuv420p10le", prepare=prepare
    )
    images, _ = read(path)
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    maps = int(cv2.__version__.partition(".")[0]) >= 5  # older ones show it as if it were standard
    for image in images if maps else []:
        difference = np.abs(image.astype(int) - capture.read()[1].astype(int))
        assert difference[4:-4, 4:28].mean() < 3
    assert abs(images[0][4:20, 36:60].mean() - 230) > 5


def test_a_size_that_changes_is_followed(tmp_path: Path) -> None:
    """Two streams one after the other: each picture in its own size, for running and training alike."""
    small = write(tmp_path / "a.ts", map(picture, range(10)), "mpeg2video")
    large = write(tmp_path / "b.ts", (picture(n, (96, 128)) for n in range(10)), "mpeg2video")
    path = tmp_path / "both.ts"
    path.write_bytes(small.read_bytes() + large.read_bytes())
    shapes = [image.shape for image in read(path)[0]]
    assert set(shapes) == {(48, 64, 3), (96, 128, 3)}
    assert shapes == sorted(shapes)
    assert [image.shape for image in decode(path, 1000).frames] == shapes  # type: ignore[attr-defined]


def test_the_picture_of_a_song_is_no_video(tmp_path: Path) -> None:
    """A cover is not what players show as video: refused by name."""
    path = tmp_path / "song.mp4"
    with av.open(str(path), "w") as container:
        sound = container.add_stream("aac", rate=8000)
        cover = container.add_stream("mjpeg", rate=1)
        cover.height, cover.width, cover.pix_fmt = HEIGHT, WIDTH, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        container.mux(cover.encode(av.VideoFrame.from_ndarray(picture(0), format="bgr24")))
        container.mux(cover.encode())
        block = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        block.sample_rate = 8000
        container.mux(sound.encode(block))
        container.mux(sound.encode())
    with pytest.raises(SourceError, match=r"song\.mp4: holds only a cover picture, no video"):
        Decoder(str(path), path.name)


def test_text_and_sound_are_no_video(tmp_path: Path) -> None:
    """FFmpeg would film a text letter by letter."""
    (tmp_path / "notes.txt").write_text("just some words\n" * 200)
    with wave.open(str(tmp_path / "a.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(1600))
    for name, reason in (("notes.txt", "is no video, but text"), ("a.wav", "is no video")):
        with pytest.raises(SourceError, match=reason):
            Decoder(str(tmp_path / name), name)


@pytest.mark.parametrize("name", ["12:30:00.mp4", "a%03d.mp4", "caf\udce9.mp4", "concat:a.mp4", "日本 $.mp4"])
def test_a_name_may_hold_any_byte(tmp_path: Path, name: str) -> None:
    """A colon is no protocol, a percent sign no pattern; what is no UTF-8 is opened like anything else."""
    path = write(tmp_path / "a.mp4", map(picture, range(5))).rename(tmp_path / name)
    source = open_source(str(path))
    assert sum(1 for _ in iter(source.read, None)) == 5
    assert len(decode(path, 160).times) == 5


# Training sees what running sees

CONTAINERS: dict[str, tuple[str, str, dict[str, object]]] = {
    "a.mp4": ("libx264", "yuv420p", {"options": {"bf": "3", "g": "12"}}),
    "a.mkv": ("mpeg4", "yuv420p", {}),
    "a.webm": ("libvpx", "yuv420p", {}),
    "a.avi": ("mpeg4", "yuv420p", {"options": {"bf": "2"}}),
    "a.ts": ("mpeg2video", "yuv420p", {"options": {"bf": "2"}}),
    "a.mov": ("mjpeg", "yuvj420p", {}),
    "a.gif": ("gif", "rgb8", {}),
    "v.mp4": ("mpeg4", "yuv420p", {"stamps": [n * 40 + 300 * (n // 7) for n in range(60)]}),
    "slow.mkv": ("mpeg4", "yuv420p", {"stamps": [n * 250 for n in range(60)]}),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_training_sees_what_running_sees(tmp_path: Path, name: str) -> None:
    """The same pictures at the same instants, and for every sample of a run the same frames."""
    codec, layout, more = CONTAINERS[name]
    path = write(tmp_path / name, map(picture, range(60)), codec, layout=layout, **more)  # type: ignore[arg-type]
    same_for_both(path)


def test_training_cuts_where_running_cuts(tmp_path: Path) -> None:
    """A restart of the time stamps in the middle: no window of either looks across it."""
    parts = [write(tmp_path / f"{n}.ts", map(picture, range(n, n + 40)), "mpeg2video") for n in (0, 5)]
    path = tmp_path / "two.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    assert len(decode(path, 160).stretches(1.0)) == 2
    same_for_both(path)


def same_for_both(path: Path) -> None:
    """Every picture, and every frame that a sampler picks, epoch by epoch."""
    clip, source = decode(path, 10_000), open_source(str(path))
    sampling, offsets = Sampling(frames=4, stride=4), (0, 2, 6)
    sampler, picked = Sampler(sampling, 4, offsets), []
    count = 0
    for frame in iter(source.read, None):
        assert frame is not None
        np.testing.assert_array_equal(clip.frames[count], frame.image)
        assert clip.times[count] == frame.time_s
        count += 1
        picked += sampler.push(frame)
    picked += sampler.finish()
    assert count == len(clip.times)
    stretches = clip.stretches(sampling.span_s)
    for sample in picked:
        seconds = np.array([max(0, sample.instant - offset) for offset in offsets]) / sampling.rate
        mine = stretches[sample.epoch].at(seconds - 0.5e-6)
        assert mine.tolist() == [frame.index for frame in sample.frames]


def test_what_is_too_large_is_refused_by_its_head(tmp_path: Path) -> None:
    """Before a picture of it is allocated; a GIF, whose head is read with its first picture, has none."""
    still = tmp_path / "a.png"
    data = bytearray(cv2.imencode(".png", np.zeros((4, 4, 3), np.uint8))[1].tobytes())
    data[16:24] = struct.pack(">II", 8192, 8192)
    data[29:33] = struct.pack(">I", zlib.crc32(data[12:29]))
    still.write_bytes(data)
    gif = tmp_path / "a.gif"
    write(gif, map(picture, range(2)), "gif", layout="rgb8")
    height, width = picture(0).shape[:2]
    size = struct.pack("<HH", width, height)
    gif.write_bytes(gif.read_bytes().replace(size, struct.pack("<HH", 8192, 8192)))
    for one, reason in ((still, "36 million|no picture can be decoded"), (gif, "no picture can be decoded")):
        with pytest.raises(SourceError, match=reason):
            VideoFile(str(one), one.name)
