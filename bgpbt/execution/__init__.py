"""How a population runs on devices: compiled programs, memory, inheritance."""
