"""The only door to jobs: SQLite, its schema, and every read and write.

Every edge of a job's states is guarded in SQL.
"""
