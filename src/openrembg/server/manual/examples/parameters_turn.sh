curl --fail-with-body -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg -F angle=-8 -F expand=false -F "bg_color=#ff660080" \
  http://localhost:8000/rmbg -o turned.webp
