"""What happens without a hand: how long a look at a large store takes, and what a year of nights leaves behind."""
