"""The paper's configuration–budget tables as versioned JSON, one file each, and one of MutualNet's.

a3d_slow_8x8_0.016, a3d_slow_8x8_0.06, a3d_slowfast_4x16_0.06 are its trade-off lists (Tables 9–11); the same
names with ``_grid`` are every configuration it tested (Tables 12–14). Accuracy is the paper's; GFLOPs and
parameters are counted by `a3d_edge.models.flops`. `a3d_edge.table.find_table` reads them by name;
``benchmarks/paper_numbers.py --write-tables`` writes them.

mutualnet_x3d_m is read off a figure of MutualNet's journal paper (arXiv 2105.07085), which trained X3D-M so:
the two ends of its curve, and nothing between them. See docs/decisions.md for which configurations they are.
"""
