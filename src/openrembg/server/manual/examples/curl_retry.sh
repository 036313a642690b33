curl --retry 5 --retry-connrefused --fail-with-body \
  -H "x-api-key: YOUR_API_KEY" \
  -H "Idempotency-Key: order-1234-front" \
  -F image=@photo.jpg \
  http://localhost:8000/rmbg -o cutout.webp
