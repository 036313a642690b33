// Points the published client, which knows one address only, at the server under test. Loaded
// before the client with `node --require`, so that the client's own files stay as they are.
//
// WIRE_SERVER: where to send the request. WIRE_KEEP_KEY: leave the x-api-key header alone; else
// it is deleted, because the server has no accounts yet and the client always sends a key.
// WIRE_CLOSE: close the connection after the answer. Else the client's own examples wait until the
// server closes the idle connection that axios keeps: with a Buffer as input axios leaves it so
// that it holds the process.
"use strict";

const http = require("node:http");

const axios = require("axios");

const PUBLISHED = "https://api.rembg.com/rmbg";

axios.interceptors.request.use((config) => {
  if (config.url !== PUBLISHED) {
    throw new Error(`The client asks ${config.url}, not ${PUBLISHED}`);
  }
  config.url = `${process.env.WIRE_SERVER}/rmbg`;
  if (!process.env.WIRE_KEEP_KEY) {
    config.headers.delete("x-api-key");
  }
  if (process.env.WIRE_CLOSE) {
    config.httpAgent = new http.Agent({ keepAlive: false });
  }
  return config;
});
