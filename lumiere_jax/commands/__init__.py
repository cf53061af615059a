"""The scripts' commands, one module each, and the handling of their flags.

Imports every other room; only the scripts import it.
"""
