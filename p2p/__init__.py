"""The node: what talks to other machines, and the command lines. For now only cli/ is here.

May import every other floor; nothing imports it. Open first: cli/main.py.
"""
