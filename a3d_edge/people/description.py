"""What a detector of one's own expects and gives: a small file beside its ONNX graph.

kind = "yolox"            # or "detr": RF-DETR, RT-DETR, DETR
model = "yolox_tiny.onnx" # beside this file; may be left out where it has this file's name
person = 0                # the class that is a person
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from a3d_edge.errors import UsageError
from a3d_edge.reading import read_regular, why
from a3d_edge.shown import shown
from a3d_edge.table import validation_message

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["DetectorDescription", "read_description", "size_trouble"]

FILE_BYTES = 2**13
"""A description takes less than 1000; reading TOML takes the square of how deep its keys are."""
MOST_PIXELS, LONGEST_SIDE = 2048 * 2048, 4096
LEAST = 1e-6
"""What pixels are divided by, at least."""
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


Side = Annotated[int, Field(ge=1, le=LONGEST_SIDE)]
Finite = Annotated[float, Field(ge=-1e6, le=1e6, allow_inf_nan=False)]
Divisor = Annotated[float, Field(ge=LEAST, le=1e6, allow_inf_nan=False)]


class DetectorDescription(BaseModel):
    """A detector's graph: one float32 picture ``(1, 3, height, width)`` in, boxes and scores out.

    - ``kind``: ``yolox``: one output ``(1, N, 5 + classes)`` of cx, cy, w, h, objectness and scores;
      ``detr``: boxes ``(1, Q, 4)`` of cx, cy, w, h from 0 to 1, and logits ``(1, Q, classes)``.
    - ``size``: width and height of its input; the graph's own if not given.
    - ``decoded``: of yolox, whether boxes are in pixels of the input already (``--decode_in_inference``).
    - ``person``: the class that is a person: 0 of COCO's 80, 1 of the 91 that RF-DETR has.
    - ``activation``: of detr, what makes scores of its logits; with ``softmax`` the last class is nobody.
    - ``resize``: ``letterbox`` keeps the aspect, grey at right and bottom; ``stretch`` does not.
    - ``channels``; ``scale``: what pixels are divided by, before ``mean`` and ``std``, in the same order.
    - ``score``: below it nobody; ``overlap``: of two boxes with more, one is left out (1: none).
    - ``boxes``, ``logits``: names of detr's outputs.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["yolox", "detr"]
    model: str = Field(default="", max_length=255)
    size: tuple[Side, Side] | None = None
    decoded: bool = False
    person: int = Field(default=-1, ge=-1, le=10_000)
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    resize: Literal["letterbox", "stretch"] | None = None
    channels: Literal["bgr", "rgb"] | None = None
    scale: Divisor | None = None
    mean: tuple[Finite, Finite, Finite] | None = None
    std: tuple[Divisor, Divisor, Divisor] | None = None
    score: float = Field(default=0.1, ge=0, le=1, allow_inf_nan=False)
    overlap: float | None = Field(default=None, ge=0, le=1, allow_inf_nan=False)
    boxes: str = Field(default="dets", max_length=200)
    logits: str = Field(default="labels", max_length=200)

    def whole(self) -> DetectorDescription:
        """With what its kind usually has where nothing is said: as YOLOX and RF-DETR are exported."""
        yolox = self.kind == "yolox"
        usual: dict[str, Any] = {
            "person": 0 if yolox else 1,
            "resize": "letterbox" if yolox else "stretch",
            "channels": "bgr" if yolox else "rgb",
            "scale": 1.0 if yolox else 255.0,
            "mean": (0.0, 0.0, 0.0) if yolox else IMAGENET_MEAN,
            "std": (1.0, 1.0, 1.0) if yolox else IMAGENET_STD,
            "overlap": 0.65 if yolox else 0.8,
        }
        return self.model_copy(
            update={name: value for name, value in usual.items() if getattr(self, name) in (None, -1)}
        )


def size_trouble(width: int, height: int) -> str | None:
    """What is wrong with an input's size, in a few words; None: nothing."""
    if not all(32 <= side <= LONGEST_SIDE for side in (width, height)):
        return f"width and height are from 32 to {LONGEST_SIDE}"
    return (
        f"at most {MOST_PIXELS / 1e6:.1f} million pixels are made" if width * height > MOST_PIXELS else None
    )


def read_description(path: Path) -> tuple[DetectorDescription, Path]:
    """A description (.toml or .json), and its graph; of a graph (.onnx) the description beside it.

    Raises `UsageError` that names the file and key.
    """
    if path.suffix.lower() == ".onnx":
        beside = [path.with_suffix(suffix) for suffix in (".toml", ".json")]
        found = next((one for one in beside if one.exists()), None)
        if found is None:
            raise UsageError(
                f"`people` {shown(str(path))}: how it is to be asked is not said; describe it in "
                f'{shown(beside[0].name)} beside it: kind = "yolox", or "detr"'
            )
        return _read(found), path
    described = _read(path)
    name = described.model or f"{path.stem}.onnx"
    if Path(name).name != name or not name.endswith(".onnx"):
        raise UsageError(f"`people` {shown(str(path))}: model is to be the name of an .onnx file beside it")
    return described, path.parent / name


def _read(path: Path) -> DetectorDescription:
    where = f"`people` {shown(str(path))}"
    try:
        text = read_regular(path, FILE_BYTES).decode("utf-8")
        content = tomllib.loads(text) if path.suffix.lower() == ".toml" else json.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{where}: cannot be read ({shown(why(error))})") from error
    try:
        found = DetectorDescription.model_validate(content)
    except ValidationError as error:
        raise UsageError(f"{where}: {shown(validation_message(error))}") from error
    if found.size is not None and (trouble := size_trouble(*found.size)):
        raise UsageError(f"{where}: size {found.size}: {trouble}")
    return found.whole()
