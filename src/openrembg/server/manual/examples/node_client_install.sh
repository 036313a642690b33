npm install @remove-background-ai/rembg.js axios
