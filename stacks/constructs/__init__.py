"""Parts of the stack: each builds one thing; `controller_stack` puts them together."""
