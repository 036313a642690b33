from pathlib import Path

from openrembg import ImageError, InvalidOptions, Options, remove_background

try:
    remove_background(Path("notes.txt").read_bytes())
except ImageError as error:
    print(error)

try:
    Options(w=-5, bg_color="#12345")
except InvalidOptions as error:
    for wrong in error.errors:
        print(wrong.field, wrong.message)
