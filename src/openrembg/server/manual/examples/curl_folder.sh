mkdir -p cutouts
for photo in photos/*.jpg; do
  name=$(basename "$photo" .jpg)
  if [ -e "cutouts/$name.webp" ]; then continue; fi
  if curl --silent --show-error --fail-with-body --retry 5 \
    -H "x-api-key: YOUR_API_KEY" \
    -F "image=@-;filename=photo.jpg" \
    http://localhost:8000/rmbg -o answer < "$photo"
  then
    mv answer "cutouts/$name.webp"
  elif [ $? = 22 ]; then
    mv answer "cutouts/$name.error.json"
    # With nothing left, all others would get the same answer.
    if grep -Eq "daily_limit|monthly_limit|key_cap" "cutouts/$name.error.json"
    then break; fi
  fi
done
