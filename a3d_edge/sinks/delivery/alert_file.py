"""The file of alerts (TOML): which events there are, and where they are told of."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from a3d_edge.alerts import AlertRule
from a3d_edge.alerts.rule import check_label
from a3d_edge.alerts.units import Seconds
from a3d_edge.engine.memory import parse_memory
from a3d_edge.errors import UsageError
from a3d_edge.table import validation_message

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["AlertFile", "ClipsTable", "FrigateTable", "MqttTable", "TimelineTable", "WebhookTable"]

FILE_BYTES = 2**20
MOST_ALERTS, MOST_WEBHOOKS = 100, 16
WITH_SECRETS = ("webhook", "mqtt", "frigate")
"""Tables in whose texts ``${NAME}`` and ``${file:PATH}`` are replaced."""
_REPLACED = re.compile(r"\$\{(file:)?([^}]*)\}")


def _bytes(value: Any) -> int:
    if isinstance(value, str):
        return parse_memory(value, "size")
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return value
    raise ValueError("is no size; write it like 200MB, 256MiB or 1GB")


Size = Annotated[int, BeforeValidator(_bytes)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClipsTable(_Strict):
    """``[clips]``: a clip (H.264) and a snapshot of each event, see `ClipSettings`."""

    folder: Path
    before: Seconds = 5.0
    after: Seconds = 5.0
    longest: Seconds = 120.0
    rate: float = Field(default=10.0, gt=0.0, le=120.0, allow_inf_nan=False)
    height: int = Field(default=720, ge=16, le=4320)
    memory: Size = 32_000_000
    video: bool = True
    snapshot: bool = True
    keep: Seconds | None = None
    keep_size: Size | None = None


class TimelineTable(_Strict):
    """``[timeline]``: a file of JSON lines, and how it rotates."""

    file: Path
    rotate: Size = 10_000_000
    keep: int = Field(default=5, ge=0, le=1000)


class WebhookTable(_Strict):
    """``[[webhook]]``: alerts are POSTed."""

    url: str = Field(repr=False, max_length=2000)
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    timeout: Seconds = 5.0

    @field_validator("headers")
    @classmethod
    def _plain(cls, headers: dict[str, str]) -> dict[str, str]:
        for name, value in headers.items():
            if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}", name) or re.search(r"[\r\n\0]", value):
                raise ValueError("a name or value that no header can have")
        return headers


class MqttTable(_Strict):
    """``[mqtt]``: alerts are published; ``discovery``: the prefix of Home Assistant's, empty for none."""

    url: str = Field(repr=False, max_length=2000)
    topic: str = Field(default="a3d-edge", pattern=r"^[^/#+\x00][^#+\x00]{0,200}$")
    discovery: str = Field(default="homeassistant", pattern=r"^[^#+\x00]{0,100}$")


class FrigateTable(_Strict):
    """``[frigate]``: each alert is an event of Frigate's ``camera``."""

    url: str = Field(repr=False, max_length=2000)
    camera: str = Field(min_length=1, max_length=200)
    headers: dict[str, str] = Field(default_factory=dict, repr=False)
    timeout: Seconds = 5.0


class AlertFile(_Strict):
    """A file of alerts. Paths begin at its folder. ``queue``: where undelivered alerts wait."""

    alert: tuple[AlertRule, ...] = Field(default=(), max_length=MOST_ALERTS)
    clips: ClipsTable | None = None
    timeline: TimelineTable | None = None
    webhook: tuple[WebhookTable, ...] = Field(default=(), max_length=MOST_WEBHOOKS)
    mqtt: MqttTable | None = None
    frigate: FrigateTable | None = None
    queue: Path | None = None

    @classmethod
    def read(
        cls, path: Path, classes: Sequence[str], environment: Mapping[str, str] = os.environ
    ) -> AlertFile:
        """Read a file for a bundle of those classes. Raises `UsageError` with the key that is wrong."""
        content = {key: _replaced(value, f"{path}: {key}", environment) if key in WITH_SECRETS else value
                   for key, value in _toml(path).items()}  # fmt: skip
        try:
            found = cls.model_validate(content)
        except ValidationError as error:
            raise UsageError(f"{path}: {validation_message(error)}") from None  # its cause has the values
        for number, rule in enumerate(found.alert):
            check_label(rule.label, classes, f"{path}: alert[{number}].class")
        return found


def _toml(path: Path) -> dict[str, Any]:
    try:
        if not path.is_file():
            raise UsageError(f"`alerts` {path}: no such file; write one, with an [[alert]] for each class")
        with path.open("rb") as file:
            text = file.read(FILE_BYTES + 1)
        if len(text) > FILE_BYTES:
            raise UsageError(f"`alerts` {path}: has more than {FILE_BYTES:,} bytes; is it the right file?")
        return tomllib.loads(text.decode())
    except OSError as error:
        raise UsageError(
            f"`alerts` {path}: cannot be read ({error.strerror}); check its permissions"
        ) from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        reason = str(error) if isinstance(error, tomllib.TOMLDecodeError) else type(error).__name__
        raise UsageError(f"`alerts` {path}: is no TOML ({reason[:200]}); mend it") from None


def _replaced(value: Any, where: str, environment: Mapping[str, str]) -> Any:
    """With what ``${NAME}`` and ``${file:PATH}`` stand for in its texts."""
    if isinstance(value, dict):
        return {key: _replaced(item, f"{where}.{key}", environment) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, f"{where}[{i}]", environment) for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def one(found: re.Match[str]) -> str:
        if found[1]:
            return _secret(Path(found[2]), where)
        if found[2] not in environment:
            raise UsageError(
                f"{where}: no environment variable {found[2][:60]}; set it, or use ${{file:PATH}}"
            )
        return environment[found[2]]

    return _REPLACED.sub(one, value)


def _secret(path: Path, where: str) -> str:
    try:
        with path.open(encoding="utf-8") as file:
            return file.read(FILE_BYTES).strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "no text"
        raise UsageError(f"{where}: {path} cannot be read ({reason})") from error
