"""Where files are, which server to use, and its API key.

Owns the configuration file, the environment variables and named servers. It does not know jobs,
requests or documents.
"""
