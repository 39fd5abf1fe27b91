"""/v1/files and /v1/uploads: bytes on disk, their names in the store."""
