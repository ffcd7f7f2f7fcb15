"""What an account does: events added to its columns, rates, and conduct that programs show."""
