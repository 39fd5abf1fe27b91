"""The commands of `ktserver`: one module per command, named as the command."""
