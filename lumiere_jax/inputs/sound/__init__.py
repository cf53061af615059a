"""Sound of files and devices as mono samples: track choice, measurement, decoding and live input.

Imports `media`; footage and commands import it.
"""
