"""Alerts to where they are wanted: a file of them, other programs, clips. Nothing here ever holds a frame."""

from __future__ import annotations
