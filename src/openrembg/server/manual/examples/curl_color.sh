curl -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg -F "bg_color=#f5f5f5" -F format=jpeg \
  http://localhost:8000/rmbg -o cutout.jpg
