"""Django's way to PostgreSQL, with an end to every wait."""
