"""What it costs: measurements of the real thing, beside a peer in the same run."""
