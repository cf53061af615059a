"""The dataset at rest: its columns, the archives of its clips, its records, its segments, its
consent, and the frames that it leaves out. Imports `media` alone of inputs.
"""
