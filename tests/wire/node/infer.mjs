// Runs an ONNX file with onnxruntime-web's WebAssembly build, the binary that a browser loads, on
// one thread and without a network. argv[2]: JSON with `model`, a path; `photos`, paths of raw
// little-endian float32; `dims` of each. Writes every output beside its photo, as `PHOTO.OUTPUT`,
// and prints one line of JSON: a list of what each photo gave, `milliseconds` and `dims` of outputs.
import fs from "node:fs";
import net from "node:net";

import * as ort from "onnxruntime-web";

net.Socket.prototype.connect = () => {
  throw new Error("onnxruntime-web asked for the network");
};
ort.env.wasm.numThreads = 1;

const asked = JSON.parse(process.argv[2]);
const session = await ort.InferenceSession.create(asked.model, { executionProviders: ["wasm"] });

async function infer(path) {
  const bytes = Uint8Array.from(fs.readFileSync(path));
  const photo = new ort.Tensor("float32", new Float32Array(bytes.buffer), asked.dims);
  const start = performance.now();
  const outputs = await session.run({ [session.inputNames[0]]: photo });
  const milliseconds = performance.now() - start;
  const dims = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    dims[name] = tensor.dims;
    fs.writeFileSync(`${path}.${name}`, tensor.data);
  }
  return { milliseconds, dims };
}

const results = [];
for (const path of asked.photos) results.push(await infer(path));
console.log(JSON.stringify(results));
