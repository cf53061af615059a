"""Lecture videos and talking faces from narrations, in JAX."""

__version__ = "0.3.0"
