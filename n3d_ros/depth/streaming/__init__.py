"""Long sequences in overlapping chunks: each chunk one estimate, chunks laid on each other by what both show."""
