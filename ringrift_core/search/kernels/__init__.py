"""Kernels of the search: the trees of many games, in flat arrays.

They import the rules' kernels and each other only; the cache of compiled code is keyed by the two folders.
Open first: tree.py.
"""
