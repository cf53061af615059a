"""Faces in one place and size: found in a still, aligned, and pasted back.

Imports `poses` and `footage`; clips, the drawn lecturer and commands import it.
"""
