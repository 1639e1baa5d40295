"""Checkpoint to bundle: lower, quantize, export, prove parity (needs the `export` extra)."""
