"""Figures; they need matplotlib."""
