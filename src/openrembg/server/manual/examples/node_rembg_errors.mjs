import {
  ConnectionFailed,
  InvalidKey,
  InvalidRequest,
  MonthlyLimit,
  rembg,
} from "@openrembg/rembg.js";

try {
  await rembg({
    apiKey: "YOUR_API_KEY",
    baseUrl: "http://localhost:8000",
    inputImage: "notes.txt",
  });
} catch (error) {
  if (error instanceof InvalidRequest) {
    console.log("The picture or an option is wrong:", error.field, error.error);
  } else if (error instanceof InvalidKey) {
    console.log("The key is wrong.");
  } else if (error instanceof MonthlyLimit) {
    console.log("The credits are used up.");
  } else if (error instanceof ConnectionFailed) {
    console.log("The server is away:", error.message);
  } else {
    throw error;
  }
}
