curl -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg \
  http://localhost:8000/rmbg -o cutout.webp
