"""From a profile, options and a machine to the command that starts one server. Pure, mostly.

Owns profiles, flags, version rules and the KV pool's arithmetic. It starts nothing.
"""
