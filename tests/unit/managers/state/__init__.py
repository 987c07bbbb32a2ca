"""The replicated state and its log."""
