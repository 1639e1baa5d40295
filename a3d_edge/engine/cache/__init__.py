"""Prepared networks, kept on this device."""
