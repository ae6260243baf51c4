"""Parts of the studies: what one script would be too long for."""
