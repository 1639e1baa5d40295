"""The device profile: round trip, its rate, and errors that carry the key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from a3d_edge.errors import BundleError
from a3d_edge.table import DeviceProfile, Latency, ProfileRow

DIGEST = "0123456789abcdef" * 4


def row(name: str, gflops: float, p50: float) -> ProfileRow:
    return ProfileRow(
        configuration=name, gflops=gflops, latency_ms=Latency(p50=p50, p95=2 * p50, p99=3 * p50), peak_mb=90.0
    )


def profile(*rows: ProfileRow) -> DeviceProfile:
    return DeviceProfile(device={"name": "a board"}, bundle_sha256=DIGEST, engine="onnxruntime", rows=rows)


TWO = profile(row("w1.00-s224-t8", 4.0, 90.0), row("w0.50-s128-t2", 1.0, 40.0))


def written(path: Path, change: dict[str, Any], row_change: dict[str, Any]) -> Path:
    """The profile's file with some keys changed; ``row_change`` in row 1."""
    content = json.loads(TWO.to_json()) | change
    content["rows"][1] |= row_change
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_a_profile_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    """Rows come cheapest first; the text is stable."""
    path = written(tmp_path / "profile.json", {}, {})
    again = DeviceProfile.load(path)
    assert again == TWO
    assert again.to_json() == TWO.to_json()
    assert [row.gflops for row in again.rows] == [1.0, 4.0]


def test_what_was_not_measured_is_unknown(tmp_path: Path) -> None:
    """None, which a file may leave out; all of it is read back."""
    bare = TWO.rows[0]
    assert (bare.streaming_ms, bare.paced_ms, bare.cpu_s, bare.energy_j, bare.steady_mb) == (None,) * 5
    assert not bare.noisy
    some = Latency(p50=1, p95=2, p99=3)
    full = bare.model_copy(
        update={
            "other_ms": some, "streaming_ms": some, "paced_ms": some, "cpu_s": 0.0, "energy_j": 0.5,
            "steady_mb": 70.0, "noisy": True,
        }
    )  # fmt: skip
    whole = profile(full).model_copy(
        update={"threads": 2, "hop": 8, "measured_at": "2026-03-01T10:00:00+00:00"}
    )
    (tmp_path / "profile.json").write_text(whole.to_json())
    assert DeviceProfile.load(tmp_path / "profile.json") == whole


def test_rows_are_ordered_by_what_they_took_here() -> None:
    """Not by GFLOPs, nor by the share of them that int8 costs elsewhere: on this device int8 gains nothing at
    one configuration and much at the other. Equal ones by configuration."""
    found = profile(
        row("w1.00-s224-t8-int8", 4.0, 30.0),
        row("w0.50-s128-t2-int8", 1.0, 41.0),
        row("w1.00-s224-t8", 4.0, 90.0),
        row("w0.80-s128-t2", 1.5, 40.0),
        row("w0.50-s128-t2", 1.0, 40.0),
    )
    assert [str(one.configuration) for one in found.rows] == [
        "w1.00-s224-t8-int8",
        "w0.50-s128-t2",
        "w0.80-s128-t2",
        "w0.50-s128-t2-int8",
        "w1.00-s224-t8",
    ]
    assert DeviceProfile.model_validate_json(found.to_json()).rows == found.rows


def test_the_rate_is_the_least_squares_line_through_the_origin() -> None:
    """(1·40 + 4·90) / (1² + 4²) ms a GFLOP, by hand; of a straight line its slope."""
    assert TWO.ms_per_gflop == pytest.approx(400 / 17)
    straight = profile(row("w0.50-s128-t2", 1.0, 20.0), row("w1.00-s224-t8", 4.0, 80.0))
    assert straight.ms_per_gflop == pytest.approx(20.0)


@pytest.mark.parametrize(
    ("change", "row_change", "message"),
    [
        ({"schema_version": 2}, {}, "schema_version: Input should be 1"),
        ({"bundle_sha256": "x"}, {}, "bundle_sha256: String should match pattern '^[0-9a-f]{64}$'"),
        ({"engine": None}, {}, "engine: Input should be a valid string"),
        (
            {},
            {"latency_ms": {"p50": 3, "p95": 2, "p99": 4}},
            "rows[1].latency_ms: Value error, p50 3, p95 2 and p99 4 do not ascend",
        ),
        ({}, {"latency_ms": {"p50": 3, "p95": 4}}, "rows[1].latency_ms.p99: Field required"),
        ({}, {"cpu_s": -1}, "rows[1].cpu_s: Input should be greater than or equal to 0"),
        ({}, {"peak_mb": 0}, "rows[1].peak_mb: Input should be greater than 0"),
        ({}, {"rss_mb": 90}, "rows[1].rss_mb: Extra inputs are not permitted"),
        ({"threads": 0}, {}, "threads: Input should be greater than or equal to 1"),
        ({}, {"gflops": 0}, "rows[1].gflops: Input should be greater than 0"),
        ({}, {"configuration": "w0.50-s128-t2"}, "rows: Value error, a configuration appears twice"),
    ],
)
def test_a_wrong_key_is_named_with_its_path(
    tmp_path: Path, change: dict[str, Any], row_change: dict[str, Any], message: str
) -> None:
    """What is wrong, and where it lies."""
    path = written(tmp_path / "profile.json", change, row_change)
    with pytest.raises(BundleError) as caught:
        DeviceProfile.load(path)
    assert str(caught.value) == f"{path}: not a device profile: {message}"


def test_a_missing_profile_is_refused(tmp_path: Path) -> None:
    """With the file's name."""
    with pytest.raises(BundleError, match=r"none\.json: cannot read the profile"):
        DeviceProfile.load(tmp_path / "none.json")
