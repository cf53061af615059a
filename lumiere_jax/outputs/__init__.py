"""Frames → labelled video, numbers → report.

Imports measures and earlier rooms; systems and later rooms import it.
"""
