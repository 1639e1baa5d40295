"""Accuracies and tables, called from Python, of checkpoints and bundles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import CONFIGURATIONS, calibrated_checkpoint, shared_bundle

torch = pytest.importorskip("torch")
pytest.importorskip("av")

from a3d_edge.errors import SourceError, UsageError  # noqa: E402
from a3d_edge.models.checkpoint import save  # noqa: E402
from a3d_edge.training import Clip, Measuring, build_table, clips_of, evaluate  # noqa: E402

TWO = [CONFIGURATIONS[1], CONFIGURATIONS[4]]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A tiny network with statistics of `TWO`."""
    save(calibrated_checkpoint(TWO), tmp_path / "net.pth")
    return tmp_path / "net.pth"


def test_a_table_has_the_accuracies_of_an_evaluation(
    checkpoint: Path, clip_list: Path, frame_cache: Any
) -> None:
    """Of the candidates, on a fold; it says on what. Work is reported to its end."""
    told: list[tuple[str, int, int]] = []
    how = Measuring(fold=1, views=2, cache=frame_cache.folder)
    found = evaluate(checkpoint, [clip_list], how, configurations=TWO, report=lambda *one: told.append(one))
    table = build_table(str(checkpoint), [str(clip_list)], how, configurations=TWO)
    assert found is not None
    assert table is not None
    assert found.clips == 6
    assert told == [("evaluate", done, 6) for done in range(7)]
    assert {str(row.configuration): row.accuracy for row in table.rows} == {
        str(c): pytest.approx(of.accuracy, abs=1e-6) for c, of in found.scores.items()
    }
    assert table.measured_on == f"6 clips of {clip_list}, fold 1, 2 views (runtime)"
    assert len(table.rows) == 2


def test_clips_themselves_do_as_well_as_lists_of_them(
    checkpoint: Path, clip_list: Path, frame_cache: Any
) -> None:
    """To measure on, and to calibrate on anew."""
    clips = clips_of([clip_list])
    found = []
    for data in ([clip_list], clips):
        how = Measuring(calibration=data, calibration_clips=6, cache=frame_cache.folder)
        table = build_table(checkpoint, data, how, configurations=CONFIGURATIONS)
        assert table is not None
        found.append(table)
    assert found[0].rows == found[1].rows
    assert found[1].measured_on == "12 clips, 4 views (runtime)"


def test_a_bundle_is_measured_as_it_runs(
    tmp_path_factory: pytest.TempPathFactory, clip_list: Path, frame_cache: Any
) -> None:
    """All that it has, or what is named; its statistics are its own."""
    bundle = shared_bundle(tmp_path_factory)
    how = Measuring(views=1, cache=frame_cache.folder)
    found = evaluate(bundle, [clip_list], how)
    assert found is not None
    assert set(found.scores) == set(CONFIGURATIONS)
    with pytest.raises(UsageError, match="a bundle has its statistics built in; calibrate its checkpoint"):
        evaluate(bundle, [clip_list], Measuring(calibration=[clip_list], cache=frame_cache.folder))


def test_what_cannot_be_meant_names_the_parameter(
    checkpoint: Path, clip_list: Path, frame_cache: Any
) -> None:
    """Nothing is computed."""
    for how, said in (
        (Measuring(protocol="mine"), "unknown `protocol` 'mine'; there are runtime, paper, charades"),
        (Measuring(views=7, protocol="paper"), "`views` 7: the paper's protocol has 1, 10 or 30; or use"),
        (Measuring(scores=clip_list), f"`scores` {clip_list}: is {clip_list}, which is read; name another"),
        (Measuring(cache=frame_cache.folder), "w0.50-s18-t1 is not calibrated; name training clips with"),
    ):
        with pytest.raises(UsageError) as caught:
            evaluate(checkpoint, [clip_list], how, configurations=[CONFIGURATIONS[0]])
        assert str(caught.value).startswith(said)
    with pytest.raises(SourceError, match="the data lists hold no clip"):
        evaluate(checkpoint, [])
    with pytest.raises(UsageError, match="the data has the label up; the network knows right, down, still"):
        evaluate(checkpoint, [Clip("up", clip_list)], Measuring(cache=frame_cache.folder))


def test_the_candidates_are_measured_unless_all_are_wanted(
    tmp_path: Path, clip_list: Path, frame_cache: Any
) -> None:
    """Of a checkpoint; a table of the calibrated ones needs no clips to calibrate on, one of all does."""
    fresh = calibrated_checkpoint(())
    fresh.range_name = "0.06"
    wanted = fresh.candidates()
    save(fresh, tmp_path / "net.pth")
    how = Measuring(fold=1, views=2, no_calibration=True, cache=frame_cache.folder)
    table = build_table(tmp_path / "net.pth", [clip_list], how)
    assert table is not None
    assert set(table.configurations) == set(wanted)
    assert len(wanted) == 12
    assert all(row.clips == 6 and row.accuracy_interval and row.thresholds for row in table.rows)
    every = evaluate(tmp_path / "net.pth", [clip_list], how, whole_range=True)
    assert every is not None
    assert list(every.scores) == fresh.grid()
    save(calibrated_checkpoint(wanted), tmp_path / "some.pth")
    with pytest.raises(UsageError, match=r"and \d+ more are not calibrated; name training clips with"):
        evaluate(tmp_path / "some.pth", [clip_list], Measuring(cache=frame_cache.folder), whole_range=True)
    with pytest.raises(UsageError, match="`configurations` and `whole_range` exclude each other"):
        build_table(tmp_path / "net.pth", [clip_list], how, configurations=wanted, whole_range=True)


def test_charades_protocol_is_of_many_labels(checkpoint: Path, clip_list: Path) -> None:
    """A network of one class averages its windows; the highest of them would be another measure."""
    how = Measuring(views=10, protocol="charades")
    with pytest.raises(UsageError, match="`protocol` charades tests networks of many labels"):
        evaluate(checkpoint, [clip_list], how, configurations=TWO)
