"""``python -m a3d_edge``: the command line, also where only a module can be named (``torchrun -m``)."""

from a3d_edge.cli import main

if __name__ == "__main__":
    main()
