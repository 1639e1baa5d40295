"""Checkpoint to bundle: calibrate, build the table, export, prove parity, write (needs the `export` extra)."""
