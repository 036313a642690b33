export DATABASE_URL=postgresql://openrembg:secret@db.example.com/openrembg
export REDIS_URL=redis://redis.example.com:6379/0
export SECRET_KEY_FILE=/run/secrets/openrembg_secret_key
openrembg serve
