"""The rules digest: what the rules do, in one number that data is stamped with.

SHA-256 over the state hashes (as little-endian int64) after every ply of the recorded scenario games, in the order of
their file names and lines, and of 64 seeded random games of each configuration, config by config, ply by ply, game by
game (seeds 1..64, the generator of rules/playout.py). It is behavioural: renaming a variable changes nothing, changing
a rare rule does. tests/conformance/test_rules_digest.py computes it anew and prints what it should be.
"""

RULES_DIGEST = "afb2fb8ba8e680a8d1fd53220273d6f5c7953ce3e928eb87c7e1774d22bdfe92"
