"""The plain twin: RingRift once more, slow and obvious, to test the fast engine against.

plain_rules.py is written from the rules page and the recorded games alone and imports nothing of ringrift_core: its
worth is that it was not derived from the engine that it judges. Nothing here is used outside tests/.
"""
