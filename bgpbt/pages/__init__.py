"""Pages in HTML that tell what runs did: one file each, opened without a network."""
