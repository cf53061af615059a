"""Parts that commands share: clip archives, dataset assembly, workdir metadata and previews.

Imports every earlier room; commands import it.
"""
