"""The replicated state: what the whole cluster knows and agrees on, as one pure, total reducer.

One file per noun, records with the functions that change them; no I/O, no clocks, no randomness: all of that comes in
commands. Open first: machine.py (the door), then jobs.py and learners.py.
"""
