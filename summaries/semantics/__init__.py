"""What summaries are worth to the network."""
