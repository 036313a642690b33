"""What others wrote, as a terminal may show it."""


def printable(text: str, limit: int) -> str:
    """Return text on one line, without what a terminal would obey, at most `limit` characters."""
    plain = "".join(char if char.isprintable() else " " for char in text)
    return " ".join(plain.split())[:limit]
