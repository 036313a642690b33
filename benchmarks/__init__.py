"""Side-by-side measurements of openrembg and the unmodified peer `rembg`."""
