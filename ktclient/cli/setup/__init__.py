"""The commands of `ktjob` about this machine and its configuration: one module per command."""
