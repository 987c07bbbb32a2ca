"""What is held, what is missing, and how it comes."""
