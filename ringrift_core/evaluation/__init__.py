"""Evaluation: how strong players are, measured in games between them.

Games are played in lockstep and recorded so that each can be replayed. Open first: match.py.
"""
