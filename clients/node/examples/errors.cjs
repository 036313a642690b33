// node errors.cjs photo.jpg
const { ConnectionFailed, InputError, InvalidKey, InvalidRequest, RateLimited, rembg } =
  require("@openrembg/rembg.js");

function advice(error) {
  if (error instanceof InputError) return `Please give another picture. ${error.message}`;
  if (error instanceof InvalidRequest) return `The server says: ${error.error}`;
  if (error instanceof InvalidKey) return "Please check REMBG_API_KEY.";
  if (error instanceof RateLimited) return `Enough for now: ${error.error}`;
  if (error instanceof ConnectionFailed) return `Is the server running? ${error.message}`;
  throw error;
}

rembg({ inputImage: process.argv[2] })
  .then(async ({ outputImagePath, cleanup }) => {
    console.log(outputImagePath);
    await cleanup();
  })
  .catch((error) => console.log(advice(error)));
