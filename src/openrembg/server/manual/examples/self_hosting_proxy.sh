export OPENREMBG_PUBLIC_URL=https://cutouts.example.com
export OPENREMBG_TRUSTED_PROXIES=127.0.0.1/32
openrembg serve
