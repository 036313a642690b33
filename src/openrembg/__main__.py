"""`python -m openrembg` is the same program as `openrembg`."""

from openrembg.cli import main

if __name__ == "__main__":
    main()
