"""Alerts that wait: on disk, in order, bounded, and through the end of a process."""

from __future__ import annotations

from pathlib import Path

import pytest
from fixtures_delivery import fields, fill

from a3d_edge.errors import ResourceError
from a3d_edge.sinks.delivery.outbox import Outbox


def emptied(box: Outbox) -> list[tuple[str, str]]:
    """Id and state of all that waits, as if delivered."""
    found = []
    while (message := box.oldest()) is not None:
        found.append((message.alert["id"][-1], message.alert["state"]))
        box.done(message)
    return found


def test_what_waits_outlives_the_process(tmp_path: Path) -> None:
    """In its order, the delivered left out; a file that is no alert is removed."""
    said: list[str] = []
    box = Outbox(tmp_path / "q", said.append)
    for number in (1, 2, 3):
        box.put(fields("started", number))
        box.put(fields("ended", number))
    box.done(box.oldest())  # type: ignore[arg-type]
    box.close()
    (tmp_path / "q" / "000000000009.json").write_text("[1, 2")
    (tmp_path / "q" / ".000000000004.json.ab.tmp").write_text("half")
    again = Outbox(tmp_path / "q", said.append)
    assert len(again) == 5
    again.put(fields("started", 4))
    assert emptied(again) == [
        ("1", "ended"), ("2", "started"), ("2", "ended"), ("3", "started"), ("3", "ended"), ("4", "started"),
    ]  # fmt: skip
    assert not said
    assert sorted(path.name for path in (tmp_path / "q").iterdir()) == [
        "20231114T221319000Z-abcd-4.open",
        "lock",
    ]


def test_events_that_a_killed_process_left_open_are_ended(tmp_path: Path) -> None:
    """With the reason `interrupted`, and as they were last told of."""
    box = Outbox(tmp_path / "q", print)
    box.put(fields("started"))
    box.put(fields("updated", end_s=9.0))
    box.close()  # nothing else is done when a process is killed
    again = Outbox(tmp_path / "q", print)
    assert len(again) == 3
    again.done(again.oldest())  # type: ignore[arg-type]
    again.done(again.oldest())  # type: ignore[arg-type]
    last = again.oldest()
    assert last is not None
    assert (last.alert["state"], last.alert["reason"], last.alert["end_s"]) == ("ended", "interrupted", 9.0)
    assert emptied(again) == [("1", "ended")]
    again.close()
    assert len(Outbox(tmp_path / "q", print)) == 0


def test_a_full_queue_drops_updates_first_and_counts(tmp_path: Path) -> None:
    """Then the oldest."""
    box = Outbox(tmp_path / "q", print, limit=4)
    for state in ("started", "updated", "updated", "ended"):
        box.put(fields(state))  # type: ignore[arg-type]
    for number in (2, 3, 4):
        box.put(fields("started", number))
    assert box.dropped == 3
    assert emptied(box) == [("1", "ended"), ("2", "started"), ("3", "started"), ("4", "started")]


def test_two_processes_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second has one beside it."""
    one, other = Outbox(tmp_path / "q", print), Outbox(tmp_path / "q", print)
    assert (one.folder.name, other.folder.name) == ("q", "q.1")
    one.close()
    assert Outbox(tmp_path / "q", print).folder.name == "q"


def test_a_place_that_cannot_be_is_said(tmp_path: Path) -> None:
    """One line, and what to do."""
    (tmp_path / "file").write_text("")
    with pytest.raises(
        ResourceError, match=r"no queue of alerts can be kept here .* name another `queue` folder"
    ):
        Outbox(tmp_path / "file" / "q", print)


def test_on_a_full_disk_alerts_wait_in_memory(small_disk: Path) -> None:
    """Said once, with the bytes; once there is room they are written again."""
    said: list[str] = []
    box = Outbox(small_disk / "q", said.append)
    filler = fill(small_disk)
    for number in (1, 2, 3):
        box.put(fields("started", number))
    assert len(box) == 3
    [line] = said
    assert line.startswith(f"{small_disk / 'q'}: No space left on device: needs ")
    assert line.endswith(" bytes, 0 bytes free; alerts wait in memory only")
    filler.unlink()
    box.put(fields("started", 4))
    assert [number for number, _ in emptied(box)] == ["1", "2", "3", "4"]
