"""That the frameworks agree with the reference, and that the suite would see it if they did not."""
