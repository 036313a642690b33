from pathlib import Path

from openrembg import Options, remove_background

photo = Path("photo.jpg").read_bytes()
cutout = remove_background(photo, Options(format="png", w=800))

Path("cutout.png").write_bytes(cutout.data)
print(cutout.width, cutout.height, cutout.foreground_detected)
