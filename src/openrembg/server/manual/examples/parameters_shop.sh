curl --fail-with-body -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg -F format=jpeg -F bg_color=white -F w=1000 -F h=1000 \
  http://localhost:8000/rmbg -o shop.jpg
