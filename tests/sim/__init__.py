"""Shipped code on simulated disks: faults are drawn by seed, and what was acknowledged is kept outside and compared."""
