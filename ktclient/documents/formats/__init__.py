"""Read documents that are not plain text: each in its own process, by a library of the extra
`documents`."""
