"""Who may use the gateway: keys, hosts, origins, and how often they may try."""
