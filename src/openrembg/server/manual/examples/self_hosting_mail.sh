export EMAIL_URL=smtp+tls://user:password@mail.example.com:587
export OPENREMBG_MAIL_FROM='openrembg <no-reply@example.com>'
export OPENREMBG_PUBLIC_URL=https://cutouts.example.com
openrembg serve
