"""Kernels that replay recorded decisions, to check them and to make training rows.

They import the rules' kernels and each other only; the cache of compiled code is keyed by the two folders.
Open first: replay.py.
"""
