# 12 degrees to the left; the canvas grows, so no corner is cut off.
curl -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg -F angle=12 \
  http://localhost:8000/rmbg -o turned.webp

# 12 degrees to the right, on a canvas as large as before.
curl -H "x-api-key: YOUR_API_KEY" \
  -F image=@photo.jpg -F angle=-12 -F expand=false \
  http://localhost:8000/rmbg -o cropped.webp
