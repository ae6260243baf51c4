"""What people see: the display, figures, moving pictures."""
