"""Kernels that turn states into what a net takes: raw fields, and the member cells of lines and regions.

They import the rules' kernels and each other only; the cache of compiled code is keyed by the two folders.
Open first: encode.py.
"""
