"""The command lines `ringrift` and `ringrift-p2p`: they parse and print, the floors below do the work.

Commands import what they need when they run, so that `ringrift --help` and `ringrift play` start at once.
Open first: main.py.
"""
