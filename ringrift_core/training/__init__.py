"""Training: from shards to candidates. A run reads one committed window and can be resumed to the bit.

Open first: trainer.py. What the rows come from is in window.py, in which order in stream.py, how they become tensors in
batches.py.
"""
