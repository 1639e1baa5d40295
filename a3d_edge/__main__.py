"""``python -m a3d_edge``: the command line, also where only a module can be named (``torchrun -m``)."""

import sys

from a3d_edge.child import module_places

sys.path[:] = module_places()  # Python has put the working folder first: what lies in it is no module of ours

from a3d_edge.entry import main  # noqa: E402

if __name__ == "__main__":
    main()
