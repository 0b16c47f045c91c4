"""One screen a file: constructor arguments in, messages and results out."""
