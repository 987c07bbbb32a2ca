"""Settings: the only code that reads the environment (and, once there are any, YAML files).

Imports nothing of ours. Open first: environment.py.
"""
