"""Checkpoint to bundle: calibrate, build the table, export, prove parity (needs the `export` extra)."""
