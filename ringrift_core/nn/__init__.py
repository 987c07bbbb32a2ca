"""Nets: planes from observations, the network, checkpoints, and the evaluator that the search asks.

The only room (with training) that imports torch. Open first: net.py.
"""
