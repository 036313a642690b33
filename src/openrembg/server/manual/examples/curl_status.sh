status=$(curl --silent --output answer --write-out "%{http_code}" \
  -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg -F w=abc \
  http://localhost:8000/rmbg)

if [ "$status" = 200 ]; then
  mv answer cutout.webp
else
  cat answer
fi
