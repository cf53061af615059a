"""Parts that commands share: footage to archives, datasets put together, what a workdir says of
itself, previews, the trials of the experiments. Imports every earlier room; commands import it.
"""
