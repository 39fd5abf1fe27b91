"""Where things are, which server is meant, and which key belongs to it.

Owns the configuration file, the environment variables and named servers. It does not know jobs,
requests or documents.
"""
