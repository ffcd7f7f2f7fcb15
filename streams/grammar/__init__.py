"""How settings name fields, paths into documents, and ways to write a time."""
