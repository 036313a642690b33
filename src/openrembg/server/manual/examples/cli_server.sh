export REMBG_API_KEY=YOUR_API_KEY
openrembg remove photos/ -o cutouts/ --server http://localhost:8000 --jobs 4
