curl --fail-with-body -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg -F mask=true -F format=png \
  http://localhost:8000/rmbg -o mask.png
