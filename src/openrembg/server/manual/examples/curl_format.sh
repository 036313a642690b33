curl -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg -F format=png \
  http://localhost:8000/rmbg -o cutout.png
