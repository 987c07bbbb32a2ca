"""Players: random, greedy, heuristic-v1, and a net or heuristic with search; all choose for many games at once.

A player sees states and legal decisions, nothing else. Open first: player.py.
"""
