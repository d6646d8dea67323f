"""What is asked of every framework: the tests that judge a target, and fill the combinations of the count."""
