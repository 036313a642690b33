export OPENREMBG_DATA_DIR=/srv/openrembg
export OPENREMBG_PORT=9000
export OPENREMBG_ANONYMOUS_PER_DAY=100
openrembg serve
