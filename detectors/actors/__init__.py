"""What is known of single actors."""
