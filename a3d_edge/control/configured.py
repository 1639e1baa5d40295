"""`Settings` from a TOML file and the environment, each value with where it comes from.

    defaults ◄─ [control] of a TOML file ◄─ A3D_EDGE_CONTROL_<NAME>      (the last that says it counts)

Curves in the environment are JSON: ``A3D_EDGE_CONTROL_BATTERY='[[20, 0.1], [60, 1]]'``.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, fields
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from a3d_edge.control.settings import CURVES, Settings
from a3d_edge.errors import UsageError
from a3d_edge.folders import user_folder

__all__ = ["Configured", "configured", "default_file", "usual_file"]

PREFIX = "A3D_EDGE_CONTROL_"
LARGEST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Configured:
    """The settings, and of each by name where it comes from: ``default``, a file, or a variable."""

    settings: Settings
    origins: dict[str, str]

    def rows(self) -> list[tuple[str, Any, str]]:
        """(name, value, origin) of each."""
        return [(name, value, self.origins[name]) for name, value in asdict(self.settings).items()]


def usual_file() -> Path:
    """Where `run` and `simulate` look unasked: ``$XDG_CONFIG_HOME/a3d-edge/config.toml``."""
    return user_folder("XDG_CONFIG_HOME", ".config") / "config.toml"


def default_file() -> Path:
    """A file that says every default, with what it is: to copy and alter."""
    return Path(str(files("a3d_edge.control"))) / "default.toml"


def configured(path: Path | None = None) -> Configured:
    """Settings of a file (`usual_file` if not given and there), and of the environment.

    Raises `UsageError` that names the key or the variable.
    """
    found = path or (usual_file() if usual_file().is_file() else None)
    model = _model()
    inside = {} if found is None else _of_file(model, found)
    outside = _of_environment(model)
    origins = {field.name: "default" for field in fields(Settings)}
    origins |= dict.fromkeys(inside, str(found)) | {name: PREFIX + name.upper() for name in outside}
    return Configured(_checked(model, {**inside, **outside}, origins), origins)


@cache
def _model() -> Any:
    """The pydantic-settings class of `Settings`: same names, same defaults."""
    from pydantic import create_model
    from pydantic_settings import BaseSettings, SettingsConfigDict

    class Base(BaseSettings):
        model_config = SettingsConfigDict(extra="forbid", env_prefix=PREFIX, allow_inf_nan=False)

    kinds = {
        field.name: (
            list[tuple[float, float]] if field.name in CURVES else type(field.default),
            field.default,
        )
        for field in fields(Settings)
    }
    return create_model("ControlSettings", __base__=Base, **kinds)  # type: ignore[call-overload]


def _of_file(model: Any, path: Path) -> dict[str, Any]:
    from pydantic_settings import TomlConfigSettingsSource

    if not path.is_file():
        raise UsageError(f"`config` {path}: no such file; {default_file()} shows what one says")
    if path.stat().st_size > LARGEST_BYTES:
        raise UsageError(f"`config` {path}: more than {LARGEST_BYTES // 10**6} MB; that is no configuration")
    try:
        read = dict(TomlConfigSettingsSource(model, path)())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"`config` {path}: not read as TOML ({' '.join(str(error).split())[:200]})"
        ) from error
    for name in read:
        if name != "control":
            raise UsageError(f"`config` {path}: unknown section [{name}]; there is [control]")
    section = read.get("control", {})
    if not isinstance(section, dict):
        raise UsageError(f"`config` {path}: control is no section; write [control]")
    _refuse_unknown(section, f"`config` {path}: [control] ")
    return section


def _of_environment(model: Any) -> dict[str, Any]:
    from pydantic_settings import EnvSettingsSource
    from pydantic_settings.exceptions import SettingsError

    given = [name for name in os.environ if name.startswith(PREFIX)]
    _refuse_unknown([name.removeprefix(PREFIX).lower() for name in given], f"environment: {PREFIX}… ")
    try:
        return dict(EnvSettingsSource(model)())
    except SettingsError as error:
        raise UsageError(f"environment: {error}; curves are JSON, such as [[15, 0.1], [50, 1]]") from error


def _refuse_unknown(names: Any, where: str) -> None:
    known = {field.name for field in fields(Settings)}
    for name in names:
        if name not in known:
            raise UsageError(f"{where}{str(name)[:60]!r} is unknown; 'a3d-edge config show' lists all")


def _checked(model: Any, values: dict[str, Any], origins: dict[str, str]) -> Settings:
    from pydantic import BaseModel, ValidationError, create_model

    kinds = {name: (info.annotation, info.default) for name, info in model.model_fields.items()}
    plain = create_model("Given", __base__=BaseModel, **kinds)
    try:
        checked = plain.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        where = "".join(f"[{part}]" for part in first["loc"][1:])
        raise UsageError(f"{origins[name]}: control.{name}{where}: {first['msg']}") from error
    given = {name: getattr(checked, name) for name in values}
    try:
        return Settings(**given)
    except UsageError as error:
        name = str(error).partition(":")[0].removeprefix("control.").partition("[")[0]
        raise UsageError(f"{origins.get(name, 'control')}: {error}") from error
