"""Whether this device is ready to run: one check a concern, and what to do about each that is not well."""

from a3d_edge.doctor.check import FAIL, OK, WARN, Check
from a3d_edge.doctor.look import examine

__all__ = ["FAIL", "OK", "WARN", "Check", "examine"]
