"""Device profiles: what tells devices apart, where profiles lie, which one a run takes, and what it does."""

from __future__ import annotations

import json
import os
import pwd
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fixtures_bundle import (
    LARGEST,
    SMALLEST,
    Here,
    ListSource,
    Recorder,
    write_video,
)

from a3d_edge import adaptive
from a3d_edge.bundle import Bundle
from a3d_edge.configuration import Configuration
from a3d_edge.control import controller
from a3d_edge.device.cores import available_threads
from a3d_edge.device.machine import describe_machine
from a3d_edge.device.signals import Signals
from a3d_edge.errors import BundleError, ResourceError, UsageError
from a3d_edge.folders import user_folder
from a3d_edge.profiling import profiles
from a3d_edge.profiling.profiles import (
    Choice,
    choose,
    describe_device,
    fingerprint,
    profile_folder,
    profile_path,
    save_profile,
)
from a3d_edge.runtime import Runtime
from a3d_edge.table import DeviceProfile, Latency, ProfileRow


@pytest.fixture(autouse=True)
def data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Profiles of these tests are not the user's."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return tmp_path / "data" / "a3d-edge" / "profiles"


def another(bundle: Bundle) -> Bundle:
    """A bundle that differs in some byte: its manifest's hash is another."""
    return replace(bundle, manifest=bundle.manifest.model_copy(update={"sha256": "f" * 64}))


def ms(value: float) -> Latency:
    return Latency(p50=value, p95=value, p99=value)


def row(
    configuration: Configuration, whole: float, streaming: float | None = None, **more: Any
) -> ProfileRow:
    """A measured row."""
    times = {"streaming_ms": None if streaming is None else ms(streaming), **more}
    return ProfileRow(configuration=str(configuration), gflops=1.0, latency_ms=ms(whole), **times)


def profile(bundle: Bundle, *rows: ProfileRow, **changes: Any) -> DeviceProfile:
    """A profile of this device, as `bench` would write it on the default engine."""
    device = describe_device("ort:CPU", available_threads())
    values: dict[str, Any] = {
        "device": device, "bundle_sha256": bundle.manifest.sha256, "engine": "ort:CPU", "hop": 2,
        "rows": rows or (row(LARGEST, 9.0, 4.0),), **changes,
    }  # fmt: skip
    return DeviceProfile(**values)


# Which device


def test_a_device_is_its_machine_with_an_engine_on_it() -> None:
    """The keys that stored profiles have, in their order; nothing is empty."""
    device = describe_device("ort:CPU", 3)
    assert dict(list(device.items())[:-3]) == describe_machine()
    assert list(device)[-3:] == ["engine", "engine_version", "threads"]
    assert (device["engine"], device["threads"]) == ("ort:CPU", "3")
    assert all(device.values())


@pytest.mark.parametrize("key", ["cpu", "cores", "quota", "memory_gb", "engine", "engine_version", "threads"])
def test_what_latency_depends_on_changes_the_fingerprint(key: str) -> None:
    """Each of them."""
    device = describe_device("ort:CPU", 2)
    assert fingerprint(device | {key: "another"}) != fingerprint(device)


def test_a_new_kernel_or_python_does_not_change_the_fingerprint() -> None:
    """They are for people."""
    device = describe_device("ort:CPU", 2)
    assert fingerprint(device | {"system": "another", "python": "4", "name": "mine"}) == fingerprint(device)
    assert device["engine_version"][0].isdigit()


# Where profiles lie


def test_a_saved_profile_is_found_again(bundle: Bundle, data_folder: Path) -> None:
    """By fingerprint and bundle; nothing is left beside it."""
    saved = profile(bundle)
    path = save_profile(saved)
    assert path.parent == data_folder
    assert path == profile_path(bundle.manifest.sha256, saved.device)
    assert path.name == f"{bundle.manifest.sha256[:16]}-{fingerprint(saved.device)[:16]}.json"
    assert [one.name for one in data_folder.iterdir()] == [path.name]
    chosen = choose("auto", bundle, saved.device)
    assert chosen.profile == saved
    assert chosen.note == f"device profile: {path} (1 configurations)"


def test_the_note_says_when_and_how_well_it_was_measured(bundle: Bundle) -> None:
    """The date, and that it is noisy."""
    noisy = profile(bundle, row(LARGEST, 9.0, noisy=True), measured_at="2026-03-01T10:00:00+00:00")
    save_profile(noisy)
    note = choose("auto", bundle, noisy.device).note
    assert note is not None
    assert note.endswith("(1 configurations, measured 2026-03-01, noisy)")


def test_without_the_environment_it_lies_in_the_home_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the XDG base directories have it."""
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert profiles.profile_folder() == Path("/home/somebody/.local/share/a3d-edge/profiles")


TOO_LONG = "/" + "x" * 300
"""No folder that anybody may enter, not even root."""


@pytest.mark.parametrize("home", ["", "relative", None])
def test_a_home_that_says_nothing_is_looked_up(home: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """HOME unset, empty or relative: the user's entry counts; relative XDG folders do not."""
    monkeypatch.setenv("XDG_DATA_HOME", "relative/data")
    monkeypatch.delenv("HOME")
    if home is not None:
        monkeypatch.setenv("HOME", home)
    assert profile_folder() == Path(pwd.getpwuid(os.getuid()).pw_dir, ".local/share/a3d-edge/profiles")


def test_a_user_without_an_entry_has_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """As containers start with any number."""
    monkeypatch.setattr(os, "getuid", lambda: 1_234_567)
    monkeypatch.delenv("HOME")
    assert user_folder("NOTHING", ".cache") == Path("/nonexistent/.cache/a3d-edge")


def test_a_home_that_cannot_be_entered_is_only_noted(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    """No profile then, and no error."""
    monkeypatch.setenv("XDG_DATA_HOME", TOO_LONG)
    found = choose("auto", bundle, describe_device("ort:CPU", 1))
    assert found.profile is None
    assert found.note is not None
    assert "no device profile can be looked for (File name too long)" in found.note
    assert found.note.startswith(f"warning: {TOO_LONG}")


def test_a_place_that_cannot_be_written_is_a_typed_error(bundle: Bundle, tmp_path: Path) -> None:
    """A file lies where the folder should be."""
    (tmp_path / "data").write_text("")
    with pytest.raises(ResourceError, match=r"cannot be written .*; name another place"):
        save_profile(profile(bundle))


def test_another_device_or_bundle_finds_nothing(bundle: Bundle) -> None:
    """And says nothing: a run then learns by itself."""
    saved = profile(bundle)
    save_profile(saved)
    assert choose("auto", bundle, saved.device | {"threads": "77"}) == Choice(None)
    other = another(bundle)
    assert choose("auto", other, saved.device) == Choice(None)
    assert choose("none", bundle, saved.device) == Choice(None)


def test_a_damaged_or_renamed_stored_profile_is_only_noted(bundle: Bundle) -> None:
    """The run goes on without it."""
    saved = profile(bundle)
    path = save_profile(saved)
    path.write_text("{")
    chosen = choose("auto", bundle, saved.device)
    assert chosen.profile is None
    assert str(chosen.note).startswith(f"warning: {path}: not a device profile")
    other = another(bundle)
    path.write_text(profile(other).to_json())
    chosen = choose("auto", bundle, saved.device)
    assert chosen == Choice(
        None, f"warning: {path} is not of this bundle on this device and is not used; delete it"
    )


# A named profile


def test_a_named_profile_is_taken(bundle: Bundle, tmp_path: Path) -> None:
    """Wherever it lies."""
    path = save_profile(profile(bundle), tmp_path / "mine.json")
    chosen = choose(str(path), bundle, describe_device("ort:CPU", available_threads()))
    assert chosen == Choice(profile(bundle), f"device profile: {path} (1 configurations)")


def test_a_named_profile_of_another_bundle_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    """Its latencies are of another network."""
    path = save_profile(profile(another(bundle)), tmp_path / "mine.json")
    with pytest.raises(UsageError) as caught:
        choose(str(path), bundle, {})
    assert str(caught.value) == (
        f"`profile` {path} is of another bundle than {bundle.path}; measure this one with "
        f"'a3d-edge bench {bundle.path} --save-profile'"
    )
    with pytest.raises(BundleError, match=r"none\.json: cannot read the profile"):
        choose(str(tmp_path / "none.json"), bundle, {})


def test_a_named_profile_of_another_device_is_taken_with_a_warning(bundle: Bundle, tmp_path: Path) -> None:
    """That says in what the devices differ, as the profile has it."""
    there = describe_device("ort:CPU", 1) | {"cpu": "Z80", "threads": "64"}
    path = save_profile(profile(bundle, device=there), tmp_path / "mine.json")
    chosen = choose(str(path), bundle, describe_device("ort:CPU", 1))
    assert chosen.profile is not None
    assert chosen.note == (
        f"warning: `profile` {path} was measured elsewhere or otherwise (cpu Z80, threads 64)"
    )


# What a run takes from it

WHOLE, FOUR = Configuration(1.0, 37, 4), Configuration(0.5, 32, 4)


@pytest.mark.parametrize(
    ("hop", "expected"), [(None, 14.0), (2, 14.0), (1, 14.0), (4, 24.0), (6, 34.0), (8, 44.0)]
)
def test_at_a_longer_hop_more_pictures_are_new(bundle: Bundle, hop: int | None, expected: float) -> None:
    """Of 0, 2, 4, 6 one is new at a hop of 2, two at 4, all at 8: a share of 30 ms each."""
    known = profile(bundle, row(WHOLE, 40.0, 14.0, other_ms=ms(4.0)))
    assert profiles.latencies(known, bundle, hop) == {WHOLE: pytest.approx(expected)}


def test_without_a_stream_the_whole_window_counts(bundle: Bundle) -> None:
    """With all else that it takes."""
    known = profile(bundle, row(WHOLE, 40.0, other_ms=ms(4.0)), row(FOUR, 7.0))
    assert profiles.latencies(known, bundle) == {WHOLE: 44.0, FOUR: 7.0}


def test_a_stream_that_was_measured_slower_than_a_window_is_not_scaled_down(bundle: Bundle) -> None:
    """Noise must not make a longer hop cheaper."""
    assert profiles.latencies(profile(bundle, row(WHOLE, 10.0, 14.0)), bundle, 8) == {WHOLE: 14.0}


def test_a_configuration_that_the_bundle_lacks_is_refused(bundle: Bundle) -> None:
    """Such a file was altered."""
    with pytest.raises(UsageError, match=r"w1\.00-s64-t4 is not in the table"):
        profiles.latencies(profile(bundle, row(Configuration(1.0, 64, 4), 1.0)), bundle)


def first_of_a_run(bundle: Bundle, known: DeviceProfile | None) -> Configuration:
    """What the first window of a camera is run on, the hop being 67 ms."""
    events = Recorder()
    latencies = None if known is None else profiles.latencies(known, bundle)
    source = ListSource(40, live=True)
    Runtime(bundle, source, events=(events,), threads=1, max_predictions=1, latencies=latencies).run()
    return events.predictions[0].configuration


def test_a_run_starts_with_the_largest_that_is_known_to_fit(
    bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a profile as a rehearsal of the smallest says; the deadline, less its margins, is 45 ms."""
    monkeypatch.setattr(controller, "DeviceSensors", lambda: Signals)
    for took_ms, expected in ((1e4, SMALLEST), (1e-3, LARGEST)):
        monkeypatch.setattr(adaptive, "rehearsal_ms", lambda network, took_ms=took_ms: took_ms)
        assert first_of_a_run(bundle, None) == expected
    rows = [row(one, 60.0, 10.0 * number) for number, one in enumerate(bundle.configurations, start=1)]
    assert first_of_a_run(bundle, profile(bundle, *rows)) == bundle.configurations[3]  # 40 ms
    quick = [row(one, 60.0, 1.0) for one in bundle.configurations]
    assert first_of_a_run(bundle, profile(bundle, *quick)) == LARGEST


# The command line


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real video of 24 frames."""
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4", 24)


def first_label(out: str) -> str:
    """The first prediction's configuration in JSON Lines."""
    return str(json.loads(out.splitlines()[0])["configuration"])


def test_run_picks_the_stored_profile_up(here: Here, bundle: Bundle, clip: Path) -> None:
    """It says so in one line, and keeps a budget in ms from the first prediction on."""
    run = ("run", "--source", clip, "--bundle", bundle.path, "--json", "--budget", "20ms")
    code, out, err = here(*run)
    assert (code, err, first_label(out)) == (0, "", str(SMALLEST))
    rows = [row(one, 60.0, 5.0 * number) for number, one in enumerate(bundle.configurations, start=1)]
    path = save_profile(profile(bundle, *rows))
    code, out, err = here(*run)
    assert (code, err) == (0, f"device profile: {path} (6 configurations)\n")
    assert first_label(out) == str(bundle.configurations[2])  # 15 ms; 20 ms would leave no margin
    code, out, err = here(*run, "--profile", "none")
    assert (code, err, first_label(out)) == (0, "", str(SMALLEST))


def test_run_says_nothing_of_a_profile_it_does_not_use(here: Here, bundle: Bundle, clip: Path) -> None:
    """A pinned configuration runs whatever it takes."""
    save_profile(profile(bundle))
    code, _, err = here("run", "--source", clip, "--bundle", bundle.path, "--json", "--budget", LARGEST)
    assert (code, err) == (0, "")


def test_run_refuses_a_profile_of_another_bundle(
    here: Here, bundle: Bundle, clip: Path, tmp_path: Path
) -> None:
    """Exit 2 and one line."""
    path = save_profile(profile(another(bundle)), tmp_path / "mine.json")
    code, out, err = here("run", "--source", clip, "--bundle", bundle.path, "--profile", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert f"--profile {path} is of another bundle" in err


def test_bundles_that_differ_in_one_byte_have_profiles_of_their_own(bundle: Bundle) -> None:
    """The hash is the manifest's, which has all others in it."""
    other = another(bundle)
    device = describe_device("ort:CPU", 1)
    assert profile_path(bundle.manifest.sha256, device) != profile_path(other.manifest.sha256, device)
