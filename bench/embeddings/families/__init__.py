"""Parts that several methods share while they train."""
