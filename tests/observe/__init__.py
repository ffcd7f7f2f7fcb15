"""Both dashboards and all alerts against a live worker under attack: ``python -m tests.observe``."""
