curl --fail-with-body -F image=@photo.jpg http://127.0.0.1:8000/rmbg -o cutout.webp
