"""What is to be told of: a class, how sure the network must be, and for how long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from a3d_edge.alerts.units import Seconds
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.errors import UsageError
from a3d_edge.guesses import close_to

__all__ = ["NOTHING", "AlertRule", "check_label", "thresholds_of"]

NOTHING = "none"
"""The class of windows in which nothing happens: no event."""
MOST_AVERAGED = 1000


class AlertRule(BaseModel):
    """When an event of class ``label`` begins and ends, by the scores of single predictions.

    It begins when the score, averaged over the last ``average`` predictions, has exceeded ``threshold`` for
    ``hold_s``, and ends when it has been below (1 − ``hysteresis``)·``threshold`` for ``release_s``. Then
    none begins for ``cooldown_s``. While it goes on it is told of every ``update_s`` (0: only when the
    configuration changes). ``threshold`` None: that of the bundle's table, for the class and each
    configuration. ``name``: what the alert is called; the class if not given. In files ``label`` is
    ``class``, ``hold_s`` ``for``, and the other times have no ``_s``.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    label: str = Field(validation_alias=AliasChoices("class", "label"), min_length=1, max_length=200)
    threshold: float | None = Field(default=None, gt=0.0, lt=1.0, allow_inf_nan=False)
    hold_s: Seconds = Field(default=0.0, validation_alias=AliasChoices("for", "hold_s"))
    average: int = Field(default=1, ge=1, le=MOST_AVERAGED)
    hysteresis: float = Field(default=0.2, ge=0.0, lt=1.0, allow_inf_nan=False)
    release_s: Seconds = Field(default=1.0, validation_alias=AliasChoices("release", "release_s"))
    cooldown_s: Seconds = Field(default=0.0, validation_alias=AliasChoices("cooldown", "cooldown_s"))
    update_s: Seconds = Field(default=5.0, validation_alias=AliasChoices("update", "update_s"))
    name: str = Field(default="", max_length=200)

    @property
    def called(self) -> str:
        """Its name."""
        return self.name or self.label


def check_label(label: str, classes: Sequence[str], where: str) -> None:
    """Raise `UsageError`, which begins with ``where``, for a class that no event can be of."""
    actions = [name for name in classes if name != NOTHING]
    if label == NOTHING and label in classes:
        raise UsageError(
            f"{where}: '{NOTHING}' is the class of nothing happening; name one of {', '.join(actions)}"
        )
    if label not in classes:
        meant = close_to(label, actions) or ";"
        raise UsageError(f"{where}: no class '{label[:60]}'{meant} there are {', '.join(actions)}")


def thresholds_of(rule: AlertRule, bundle: Bundle) -> Mapping[Configuration, float]:
    """The score that counts at each configuration. Raises `UsageError` where nothing says it."""
    found: dict[Configuration, float] = {}
    for configuration in bundle.configurations:
        known = rule.threshold
        if known is None:
            known = bundle.threshold(configuration, rule.label)
        if known is None:
            raise UsageError(
                f"alert '{rule.called}': the bundle's table has no threshold for '{rule.label}' at "
                f"{configuration}; give one, such as '{rule.label}>0.7'"
            )
        found[configuration] = known
    return found
