curl --fail-with-body --silent --show-error -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg http://localhost:8000/rmbg -o cutout.webp \
  --dump-header - | grep -i '^server-timing:'
