"""The embedded server: a small real model by llama.cpp, for machines without a GPU."""
