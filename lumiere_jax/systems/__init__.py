"""Systems: ways of filling in the chain from sound to frames. `registry.py` lists them.

Imports outputs and earlier rooms; workflows and commands import it.
"""
