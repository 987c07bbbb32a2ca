"""What the command line offers of this floor: one file per command, each a plain function.

The functions take parsed arguments and write through what they are given; p2p/cli is the thin layer that parses.
Open first: play.py.
"""
