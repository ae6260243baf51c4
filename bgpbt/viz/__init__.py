"""What people see: the display, figures, GIFs."""
