"""The store as people and programs see it: snapshots, overviews, searches, exports.

Owns how the store is opened for a reader, dead workers found first. It changes no job.
"""
