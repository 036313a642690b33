openrembg admin create-user ada@example.com --verified
openrembg admin create-key ada@example.com --name shop
openrembg admin make-staff ada@example.com
