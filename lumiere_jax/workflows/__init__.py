"""Parts that commands share: clip archives, dataset assembly, workdir metadata, previews, and the
experiments' trials.

Imports every earlier room; commands import it.
"""
