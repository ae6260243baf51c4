"""The door: settings become the parts of a run; a person's own files are checked."""
