"""Documents that are no plain text, read as such: each in a process of its own, by a library of the
extra `documents`."""
