#!/usr/bin/python3
"""Runs a command on a device with a battery and a processor temperature that change, by umockdev.

    apt-get install umockdev gir1.2-umockdev-1.0 python3-gi
    /usr/bin/python3 mock_device.py --battery 0:80,20:12,40:12+ --temperature 0:71,60:91 -- COMMAND …

"SECONDS:PERCENT", "+" for charging; "SECONDS:CELSIUS" of a sensor named coretemp, --critical (100).
Only files below /sys are replaced, for COMMAND and its children: it reads them with its own, unmodified code.
Each change is said on stderr, with the seconds since the start. Exits with the command's code.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time

import gi

gi.require_version("UMockdev", "1.0")
from gi.repository import UMockdev  # noqa: E402

PRELOAD = "libumockdev-preload.so.0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--battery", type=timeline, default=[])
    parser.add_argument("--temperature", type=timeline, default=[])
    parser.add_argument("--critical", type=float, default=100.0)
    parser.add_argument("command", nargs="+")
    args = parser.parse_args()

    bed = UMockdev.Testbed.new()
    battery = supply = sensor = None
    if args.battery:
        full = {"type": "Battery", "present": "1", "status": "Discharging", "energy_full": "50000000",
                "energy_now": "50000000", "power_now": "5000000", "capacity": "100"}  # fmt: skip
        battery = bed.add_device("power_supply", "BAT0", None, flat(full), [])
        supply = bed.add_device("power_supply", "AC0", None, flat({"type": "Mains", "online": "0"}), [])
    if args.temperature:
        thermal = {"name": "coretemp", "temp1_label": "Package id 0", "temp1_input": "40000",
                   "temp1_crit": str(int(1000 * args.critical)),
                   "temp1_max": str(int(1000 * args.critical))}  # fmt: skip
        sensor = bed.add_device("hwmon", "hwmon0", None, flat(thermal), [])

    def set_battery(word: str) -> None:
        percent, charging = float(word.rstrip("+")), word.endswith("+")
        bed.set_attribute(battery, "capacity", str(int(percent)))
        bed.set_attribute(battery, "energy_now", str(int(percent * 500000)))
        bed.set_attribute(battery, "status", "Charging" if charging else "Discharging")
        bed.set_attribute(supply, "online", "1" if charging else "0")

    def set_temperature(word: str) -> None:
        bed.set_attribute(sensor, "temp1_input", str(int(1000 * float(word))))

    plan = [(at, "battery", word, set_battery) for at, word in args.battery]
    plan += [(at, "temperature", word, set_temperature) for at, word in args.temperature]
    plan.sort(key=lambda step: step[0])
    while plan and plan[0][0] <= 0:
        step = plan.pop(0)
        step[3](step[2])
    environment = dict(os.environ, UMOCKDEV_DIR=bed.get_root_dir(), LD_PRELOAD=PRELOAD)
    begun = time.monotonic()
    child = subprocess.Popen(args.command, env=environment)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: child.send_signal(number))
    while child.poll() is None:
        if plan and time.monotonic() - begun >= plan[0][0]:
            _, name, word, change = plan.pop(0)
            change(word)
            print(f"mock: {name} {word} at {time.monotonic() - begun:.1f} s", file=sys.stderr, flush=True)
        time.sleep(0.05)
    sys.exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)


def timeline(text: str) -> list[tuple[float, str]]:
    return [(float(step.split(":")[0]), step.split(":")[1]) for step in text.split(",")]


def flat(values: dict[str, str]) -> list[str]:
    return [text for pair in values.items() for text in pair]


if __name__ == "__main__":
    main()
