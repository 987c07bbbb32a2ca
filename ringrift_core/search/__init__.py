"""Search: what judges a position (`Evaluator`), and the tree that asks it (Gumbel search, max-n, values by agent).

The tree itself is flat arrays in `kernels/`. Nothing here knows a net or a heuristic. Open first: gumbel.py.
"""
