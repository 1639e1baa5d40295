"""The bundle that ships in the wheel; see docs/results/default_bundle.md for how it was trained."""
