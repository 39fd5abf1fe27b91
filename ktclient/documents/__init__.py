"""Bytes become text: files, folders, encodings, and formats that are not plain text.

Owns reading and decoding. It does not know prompts, tokens or servers.
"""
