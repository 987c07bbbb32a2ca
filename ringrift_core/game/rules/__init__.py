"""The rules as kernels: plain scalar functions over flat integer arrays, compiled by numba or run as they are.

One file per noun: stacks, placement, movement (moves and captures), lines, territory, recovery, outcome; turn.py and
phases.py put them together. layout.py says where everything stands in the arrays; entries.py, drivers.py and playout.py
are what Python calls. Nothing here allocates, raises or touches a Python object, except for those who call from Python.
A change of any file here makes `ringrift warmup` compile anew. Open first: phases.py.
"""
