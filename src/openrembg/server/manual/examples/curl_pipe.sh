cat photo.jpg |
  curl --silent -H "x-api-key: YOUR_API_KEY" \
    -F "image=@-;filename=photo.jpg" \
    http://localhost:8000/rmbg > cutout.webp
