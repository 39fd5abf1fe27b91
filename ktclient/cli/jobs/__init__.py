"""The commands of `ktjob` about jobs: one module per command, named as the command."""
