"""The paper's configuration–budget tables as versioned JSON, one file each.

a3d_slow_8x8_0.016, a3d_slow_8x8_0.06, a3d_slowfast_4x16_0.06 are its trade-off lists (Tables 9–11); the same
names with ``_grid`` are every configuration it tested (Tables 12–14). Accuracy is the paper's; GFLOPs and
parameters are counted by `a3d_edge.models.flops`. `a3d_edge.table.find_table` reads them by name;
``benchmarks/paper_numbers.py --write-tables`` writes them.
"""
