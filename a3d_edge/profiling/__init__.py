"""Measuring configurations on this device."""
