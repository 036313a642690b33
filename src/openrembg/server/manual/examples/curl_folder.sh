mkdir -p cutouts
for photo in photos/*.jpg; do
  name=$(basename "$photo" .jpg)
  curl --silent --show-error --fail-with-body --retry 5 \
    -H "x-api-key: YOUR_API_KEY" \
    -F "image=@$photo" \
    http://localhost:8000/rmbg -o "cutouts/$name.webp" ||
    mv "cutouts/$name.webp" "cutouts/$name.error.json"
done
