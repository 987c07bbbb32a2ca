"""Kernels of the players that judge positions by rules of thumb.

They import the rules' kernels and each other only; the cache of compiled code is keyed by the two folders.
Open first: heuristic.py.
"""
