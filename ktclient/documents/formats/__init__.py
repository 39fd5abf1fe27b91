"""Documents that are not plain text: each format read in a process of its own, by a library of the
extra `documents`.
"""
