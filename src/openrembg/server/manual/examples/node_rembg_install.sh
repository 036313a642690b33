(cd openrembg/clients/node && npm ci && npm pack)
npm install openrembg/clients/node/openrembg-rembg.js-0.1.0.tgz
