"""What `ktjob serve` stores beside jobs: requests, files, uploads and API keys."""
