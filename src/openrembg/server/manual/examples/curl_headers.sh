curl --silent --dump-header headers.txt \
  -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg \
  http://localhost:8000/rmbg -o cutout.webp

grep -i "^x-credits-charged" headers.txt
