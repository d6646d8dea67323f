"""What was seen: verdicts counted and kept. Knows verdicts by name, never a framework."""
