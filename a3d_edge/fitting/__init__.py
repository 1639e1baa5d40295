"""One call from clips to a bundle: `fit`. Needs the `train`, `export` and `plot` extras."""
