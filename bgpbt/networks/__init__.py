"""Networks whose architecture is data."""
