export OPENREMBG_DATA_DIR=/srv/openrembg
openrembg admin backup /backup/openrembg.db
cp -p /srv/openrembg/secret_key /backup/secret_key
