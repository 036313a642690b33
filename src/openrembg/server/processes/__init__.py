"""Several processes that answer as one server: `openrembg serve --processes N`."""
