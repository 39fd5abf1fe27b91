"""The hubs that have models: one interface, one module for each hub and its library."""
