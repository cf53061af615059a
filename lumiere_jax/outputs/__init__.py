"""Frames → labelled video, numbers → report.

Imports systems and earlier rooms; workflows and commands import it.
"""
