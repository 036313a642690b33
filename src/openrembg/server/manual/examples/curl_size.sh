# At most 800 wide and 600 high; the shape stays as it is.
curl -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg -F w=800 -F h=600 \
  http://localhost:8000/rmbg -o fitted.webp

# Exactly 800 x 600, even if that stretches the picture.
curl -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg -F w=800 -F h=600 -F exact_resize=true \
  http://localhost:8000/rmbg -o exact.webp
