"""The database as files: where it is, how it is opened, migrated and copied, and whether its open
files are still those in the folder."""
