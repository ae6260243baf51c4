"""Settings: how they are declared, read, checked and looked up."""
