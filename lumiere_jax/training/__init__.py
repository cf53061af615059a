"""The training loop, its stages, checkpoints, logs and devices.

Imports neither systems nor inputs; systems and later rooms import it.
"""
