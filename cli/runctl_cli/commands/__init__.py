"""One module a verb; each is imported when it is called."""
