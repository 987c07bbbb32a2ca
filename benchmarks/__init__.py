"""Measurements as JSON; nothing of the product is here. Open first: engine.py."""
