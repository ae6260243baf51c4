"""Settings become the parts of a run; a user's files are checked."""
