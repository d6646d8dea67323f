"""What a target was asked by seed: the cases, and the record of a campaign. harness.campaign asks."""
