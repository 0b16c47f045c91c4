"""What screens are made of, each named for what is seen."""
