"""Settings: typed, read once, passed down; the only code that reads the environment and YAML settings.

`load()` in loading.py gives `Settings` (schema.py, sections.py) with the source of every value. What is needed before
there are settings, such as the kernels' cache folder, is in environment.py. Imports nothing of ours. Open first:
sections.py.
"""
