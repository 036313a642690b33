cd /srv/openrembg
cp -p secret_key /backup/secret_key
python3 - <<'PYTHON'
import sqlite3

with sqlite3.connect("/backup/openrembg.db") as copy:
    sqlite3.connect("openrembg.db").backup(copy)
PYTHON
