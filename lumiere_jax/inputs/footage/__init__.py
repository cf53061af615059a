"""A file of footage, or a photograph, as pictures and sound.

Footage is probed before it is read, then read at one frame rate and one sample rate. Imports
`media` and `sound`.
"""
