curl -F image=@photo.jpg http://localhost:8000/rmbg -o cutout.webp
