"""How accounts are stored: rows, the table of those in memory, pages of idle ones and their index."""
